"""Episodes under chance: the same table, whatever finishes first and whenever the process is killed.

For whoever writes an episode: give `under_chance` a function that makes the plan for an endpoint, and what the model
says. It plays the plan in calm, then again and again with random latencies, killing the process with SIGKILL at random
moments, and finds out whether the table is the same, and whether anything that was in a journal was paid for again.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from omr_kedro.llm.calls import CallPlan
from omr_kedro.llm.engine.journal import paid_calls
from omr_kedro.shards import Row
from tests.support.call_plans import table
from tests.support.chat_server import ChatServer
from tests.support.waiting import PATIENCE_S

MEASURED = ("latency_s", "tries", "checksum")
"""Columns that no two runs have in common."""

_Reply = Callable[[dict[str, Any]], str | web.Response]
_PlanOf = Callable[[str, Path], CallPlan]
"""Makes the plan, from the address of the endpoint and a folder of its own."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of a piece of code (`calls.episode.CodeOutcome`)."""

    status: str
    stdout: str
    stderr: str = ""
    seconds: float = 0.1
    settled: bool = True


class CountedSandbox:
    """Code whose output is a rule's, and a file that says what was run: also what a killed process has run.

    Args:
        folder: for that file.
        answer: output of code, from all pieces of its session.
        longest_s: seconds that a piece may take.
    """

    def __init__(self, folder: Path, answer: Callable[[list[str]], str] = "\n".join, longest_s: float = 0.01) -> None:
        self.identity = "counted"
        self.log = folder / "code.jsonl"
        self.answer = answer
        self.longest_s = longest_s
        self.open = 0

    def session(self, key: str, earlier: Sequence[tuple[str, Any]] = ()) -> CountedSession:
        self.open += 1
        return CountedSession(self, key, [code for code, _ in earlier])

    def ran(self) -> list[tuple[str, int]]:
        """Session and number of each piece that was run."""
        lines = self.log.read_bytes().splitlines() if self.log.exists() else []
        return [(key, number) for key, number in map(orjson.loads, lines)]


class CountedSession:
    """A session of it (`calls.episode.OpenSession`)."""

    def __init__(self, sandbox: CountedSandbox, key: str, pieces: list[str]) -> None:
        self._sandbox, self._key, self._pieces = sandbox, key, pieces

    async def run(self, code: str) -> Outcome:
        with self._sandbox.log.open("ab") as log:
            log.write(orjson.dumps([self._key, len(self._pieces)]) + b"\n")
        self._pieces.append(code)
        await asyncio.sleep(random.uniform(0, self._sandbox.longest_s))
        return Outcome("completed", self._sandbox.answer(self._pieces))

    async def close(self) -> None:
        self._sandbox.open -= 1


class SlowServer(ChatServer):
    """Answers after a random time, so that no two runs see their calls end in the same order."""

    def __init__(self, reply: _Reply, longest_s: float) -> None:
        super().__init__(reply)
        self._longest_s = longest_s

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(random.uniform(0, self._longest_s))
        return await super().answer(request, body)


@dataclass
class Chance:
    """What happened under chance."""

    steps: int
    """Rows of the table."""
    kills: int = 0
    """Processes that were killed while they were at work."""
    runs: int = 0
    """Tables that were finished, each by as many processes as it took."""
    again: list[str] = field(default_factory=list)
    """Steps that were in a journal, and were made again all the same."""
    different: int = 0
    """Tables that are not the same as the one that was made in calm."""


def under_chance(plan_of: _PlanOf, reply: _Reply, folder: Path, *, kills: int) -> Chance:
    """Play a plan again and again, until so many processes were killed at work.

    Args:
        plan_of: makes the plan, afresh in each process; its code, if it has any, runs in a `CountedSandbox`.
        reply: what the model says to the body of a request; the same to the same body.
        folder: for the tables.
        kills: processes to be killed.
    """
    with SlowServer(reply, longest_s=0.02) as server:
        began = time.monotonic()
        calm = folder / "calm"
        _save(plan_of, server.base_url, calm)
        found = Chance(steps=table(calm).shards().count)
        trial = _Trial(plan_of, server, calm, rows(calm), time.monotonic() - began, found)
        while found.kills < kills:
            trial.finish_one(folder / f"run-{found.runs}")
    return found


def rows(folder: Path) -> list[Row]:
    """The rows of a table, without what was measured."""
    return [{k: v for k, v in row.items() if k not in MEASURED} for row in table(folder).shards().rows()]


@dataclass
class _Trial:
    plan_of: _PlanOf
    server: ChatServer
    calm_folder: Path
    calm: list[Row]
    longest_s: float
    found: Chance

    def finish_one(self, folder: Path) -> None:
        """Make a table, by as many processes as it takes."""
        longest_s = self.longest_s
        while not self._play(folder, longest_s):
            longest_s *= 1.1  # on a machine that is slower now than it was in calm, some process must come to its end
        self.found.runs += 1
        self.found.different += rows(folder) != self.calm

    def _play(self, folder: Path, longest_s: float) -> bool:
        """Start a process, and kill it at some moment; whether it had come to its end."""
        known = self._journalled(folder)
        calls, code = len(self.server.calls), len(self._code(folder))
        process = multiprocessing.get_context("fork").Process(
            target=_save, args=(self.plan_of, self.server.base_url, folder)
        )
        process.start()
        process.join(random.uniform(0, longest_s))
        killed = process.is_alive()
        process.kill()
        process.join(PATIENCE_S)
        assert killed or process.exitcode == 0
        self.found.kills += killed
        self.found.again += [key for key in self.server.keys[calls:] + self._code(folder)[code:] if key in known]
        return not killed

    def _journalled(self, folder: Path) -> set[str]:
        """Keys of the steps that are paid for in every shard that has them; two shards that ask the same each pay."""
        missing, found = set[str](), set[str]()
        for shard in table(self.calm_folder).shards().values():
            keys = {row["call_key"] for row in shard.rows()}
            paid = {completion.call_key for completion in paid_calls(table(folder).scratch(shard.id))}
            missing |= keys - paid
            found |= keys & paid
        return found - missing

    def _code(self, folder: Path) -> list[str]:
        """Keys of the code that was run."""
        keys = {
            (f"{row['row_id']}/{row['part']}/{row['sample_index']}", row["turn"]): row["call_key"]
            for row in self.calm
            if row["kind"] == "code"
        }
        return [keys[step] for step in CountedSandbox(folder).ran()]


def _save(plan_of: _PlanOf, base_url: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    table(folder).save(plan_of(base_url, folder))
