"""Conversations with code: the share of the server's time that is used, and the CPU of a turn.

    python -m benchmarks.conversations [--samples 2048] [--turns 8] [--reply-tokens 2000 5000] [--mean-latency 3]

The stage `solve_tir` itself draws samples by token ids (`token_exact`), four of a problem, against a server whose model
writes code in each reply. The last turn of eight sends 16,000 ids, or 40,000, and gets them back with its reply, as
from vLLM. The sandbox is a double that answers after a while. Asking is a process of its own, with as many calls in
flight as the server has slots. CPU is its process time by the turns, with reading prompts, journal and table.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from tests.support.tables import shards_of

from benchmarks import ROOT
from benchmarks.contenders.contract import cpu_s
from benchmarks.episodes import SLOTS, used, watched
from benchmarks.project import run_and_weigh
from benchmarks.results import emit, figure
from benchmarks.stage_server import running
from omr_kedro.llm.calls import Ask, Prompt
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.pipelines.solve_tir.nodes import ToolOptions, ask_solve_tir
from omr_kedro.shards import Row, TableStore
from omr_kedro.tables import COMPLETIONS

LEAST_USED, MOST_CPU_MS = 0.95, 1.0
_SAMPLES = 4
"""Of a problem."""
_A_SHARD = 128
_LONGEST_CODE_S = 0.2


class Found(NamedTuple):
    """Figures of one load."""

    peak_mb: float
    used: float
    """Share of the server's time between warm-up and tail."""
    cpu_ms: float
    """CPU time of the asking process by turns."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of code that was not run."""

    stdout: str = "1\n"
    stderr: str = ""
    status: str = "completed"
    seconds: float = 0.1
    settled: bool = True


class SandboxDouble:
    """A sandbox that takes no CPU, and its sessions."""

    identity = "double"

    def session(self, key: str, earlier: Sequence[tuple[str, Any]] = ()) -> SandboxDouble:
        """Itself."""
        del key, earlier
        return self

    async def run(self, code: str) -> Outcome:
        """Wait, and say what there always is to say."""
        del code
        await asyncio.sleep(random.uniform(0, _LONGEST_CODE_S))
        return Outcome()

    async def close(self) -> None:
        """End nothing."""


def tool_options(turns: int, reply_tokens: int) -> ToolOptions:
    """The settings of the base environment, by which the turn after the last code ends a sample."""
    settings = yaml.safe_load((ROOT / "conf/base/parameters.yml").read_text("utf-8"))["solve_tir"]
    own = {
        "stop_rule": {"fixed": _SAMPLES},
        "executions": {"most": turns - 1},
        "max_tokens": 2 * turns * reply_tokens,
        "tokens_per_call": 2 * reply_tokens,
    }
    return ToolOptions.model_validate({**settings, **own})


def problem_rows(count: int) -> list[Row]:
    """Problems, as far as the stage reads them."""
    return [
        {"problem_id": f"{number:08}", "problem": f"What is {number} + {number}?", "expected_answer": None}
        for number in range(count)
    ]


def ask(options: argparse.Namespace) -> None:
    """Draw the samples, in a process of its own, and write down what it took."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    problems = options.samples // _SAMPLES
    prompt = yaml.safe_load((ROOT / "conf/base/prompts/solve_tir.yml").read_text("utf-8"))
    plan = ask_solve_tir(
        shards_of(problem_rows(problems), -(-problems // _A_SHARD)),
        Prompt.from_mapping("solve_tir", prompt),
        ChatModel(ModelEntry("bench", options.endpoint, limits=Limits(max_in_flight=SLOTS))),
        SandboxDouble(),
        tool_options(options.turns, options.reply_tokens[0]),
    )
    opened_at = 0.0

    def asks(name: str) -> Iterator[Ask]:
        nonlocal opened_at
        yield from plan.asks(name)
        opened_at = time.monotonic()

    cpu = cpu_s()
    TableStore(options.folder / "table", "parquet", COMPLETIONS).save(replace(plan, asks=asks))
    found = {"cpu_s": cpu_s() - cpu, "opened_at": opened_at}
    (options.folder / "found.json").write_text(json.dumps(found), "utf-8")


def measure(options: argparse.Namespace, reply_tokens: int) -> Found:
    """Have a load played, and print its figures."""
    server = ("--slots", SLOTS, "--mean-latency", options.mean_latency, "--reply-tokens", reply_tokens)
    module = "benchmarks.computing_server"
    with tempfile.TemporaryDirectory() as name, running(*map(str, server), module=module) as endpoint:
        folder = Path(name)
        words = ["--step", "--samples", options.samples, "--turns", options.turns, "--reply-tokens", reply_tokens]
        words += ["--folder", folder, "--endpoint", endpoint]
        command = [sys.executable, "-m", "benchmarks.conversations", *map(str, words)]
        with watched(endpoint) as seen:
            peak_mb, seconds = run_and_weigh(command, folder)
        told = json.loads((folder / "found.json").read_text("utf-8"))
        rows = TableStore(folder / "table", "parquet", COMPLETIONS).shards().count
    # Each reply but a sample's last has code that is run, and an output whose ids are asked for.
    turns = options.samples * options.turns
    assert rows == turns + 2 * options.samples * (options.turns - 1), f"{rows} rows"
    found = Found(peak_mb, used(seen, told["opened_at"]), 1000 * told["cpu_s"] / turns)
    print(
        f"replies of {reply_tokens:>5,} tokens: {found.used:.4f} of the server's time, {found.cpu_ms:.3f} CPU-ms a "
        f"turn, {found.peak_mb:5.0f} MB; {seconds:.0f} s",
        flush=True,
    )
    return found


def main() -> None:
    """Measure, print, and fail when a figure is not as promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2048)
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--reply-tokens", type=int, nargs="+", default=[2000, 5000])
    parser.add_argument("--mean-latency", type=float, default=3.0)
    parser.add_argument("--step", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        ask(options)
        return
    print(f"{options.samples:,} samples of {options.turns} turns, mean latency {options.mean_latency:g} s")
    found = {tokens: measure(options, tokens) for tokens in options.reply_tokens}
    figures = [
        row
        for tokens, each in found.items()
        for row in (
            figure(
                f"server's time that samples with code use, {tokens:,} tokens a turn",
                each.used,
                "",
                f">= {LEAST_USED:g}",
                met=each.used >= LEAST_USED,
            ),
            figure(
                f"CPU of such a turn, {tokens:,} tokens",
                each.cpu_ms,
                "ms",
                f"< {MOST_CPU_MS:g}",
                met=each.cpu_ms < MOST_CPU_MS,
            ),
        )
    ]
    emit(figures)
    sys.exit(any(row["met"] is False for row in figures))


if __name__ == "__main__":
    main()
