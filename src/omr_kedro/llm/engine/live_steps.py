"""Steps of an episode while a run makes them: from the journal what was paid for, from model and sandbox the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Protocol, TypeVar

from omr_kedro.llm.calls.episode import NO_SANDBOX, CodeRunner, CodeSession, Episode, OpenSession
from omr_kedro.llm.calls.plan import CallPlan
from omr_kedro.llm.calls.request import Completion, Request
from omr_kedro.llm.engine.open_shard import OpenShard
from omr_kedro.llm.engine.progress import Tally
from omr_kedro.llm.engine.steps import PYTHON, EpisodeSteps, Step, raise_first
from omr_kedro.shards.printable import printable_line

Result = TypeVar("Result")

_MOST_SESSIONS = 3
"""Sessions in which a piece of code is tried, where the sandbox dies before it has an outcome."""
_DETAIL_CHARS = 300


class Maker(Protocol):
    """Maker of steps that are in no journal: the engine."""

    tally: Tally

    @property
    def plan(self) -> CallPlan:
        """The plan that is carried out."""
        ...

    @property
    def stopping(self) -> bool:
        """Whether no step may start any more."""
        ...

    async def slot(self, *, following: bool = False) -> None:
        """Wait for a slot of the window."""
        ...

    def give_back(self) -> None:
        """Give back a slot."""
        ...

    async def call(self, shard: OpenShard, request: Request, key: str) -> Completion:
        """Make a call; whoever asks for it holds a slot."""
        ...

    async def run_code(self, shard: OpenShard, key: str, run: Awaitable[Completion]) -> Completion:
        """Have code run."""
        ...


class LiveSteps(EpisodeSteps):
    """Steps of an episode that was opened with a slot for its first call.

    A slot of the window is held only while a call is in flight, and a core of the sandbox only while code runs.
    """

    keeps_texts = False

    def __init__(self, maker: Maker, shard: OpenShard, episode: Episode) -> None:
        super().__init__(episode, maker.plan.model.identity, maker.plan.episodes)
        self._maker = maker
        self._shard = shard
        self._has_slot = True
        self._processes: dict[CodeSession, OpenSession] = {}

    async def together(self, branches: Iterable[Awaitable[Result]]) -> list[Result]:
        """The results of branches that wait at the same time; see `calls.Steps`."""
        results = await asyncio.gather(*branches, return_exceptions=True)
        raise_first([result for result in results if isinstance(result, BaseException)])
        return [result for result in results if not isinstance(result, BaseException)]

    async def close(self) -> None:
        """End the episode's sessions, and give back the slot that was not used."""
        self._free_slot()
        for process in self._processes.values():
            await process.close()

    async def _outcome(self, step: Step) -> Completion:
        if found := await self._found(step.key):
            return found
        waiting = self._shard.asked[step.key] = asyncio.get_running_loop().create_future()
        try:
            if step.request is None:
                self._free_slot()
                return await self._maker.run_code(self._shard, step.key, self._run(step))
            return await self._call(step.request, step.key)
        finally:
            waiting.cancel()  # whoever waits for a step that has no outcome ends with it

    async def _call(self, request: Request, key: str) -> Completion:
        if self._has_slot:
            self._has_slot = False
        else:
            await self._maker.slot(following=True)
        try:
            return await self._maker.call(self._shard, request, key)
        finally:
            self._maker.give_back()

    async def _found(self, key: str) -> Completion | None:
        """The outcome of a step that was made before, or that another episode makes just now."""
        if found := self._shard.known(key):
            self._maker.tally.reused += 1
            return found
        if self._maker.stopping:
            raise asyncio.CancelledError
        waiting = self._shard.asked.get(key)
        return await asyncio.shield(waiting) if waiting else None

    def _free_slot(self) -> None:
        if self._has_slot:
            self._has_slot = False
            self._maker.give_back()

    async def _run(self, step: Step) -> Completion:
        """Run code in its session; after the death of a sandbox, in another one with the same past."""
        session, sandbox = step.session, self._options.sandbox
        assert session is not None, "a step without a request is code"  # noqa: S101
        assert sandbox is not None, "no session is given without one"  # noqa: S101
        problem = ""
        for tries in range(1, _MOST_SESSIONS + 1):
            process = self._processes.get(session) or self._open(sandbox, session)
            outcome = await process.run(step.code)
            if outcome.settled:
                return Completion(
                    step.key,
                    model=PYTHON,
                    text=outcome.stdout + outcome.stderr,
                    finish_reason=str(outcome.status),
                    latency_s=round(outcome.seconds, 3),
                    tries=tries,
                )
            problem = printable_line(outcome.stderr or str(outcome.status), _DETAIL_CHARS)
            await self._processes.pop(session).close()
        return Completion(step.key, model=PYTHON, tries=_MOST_SESSIONS, error_kind=NO_SANDBOX, error=problem)

    def _open(self, sandbox: CodeRunner, session: CodeSession) -> OpenSession:
        process = self._processes[session] = sandbox.session(session.seed_key, session.earlier)
        return process
