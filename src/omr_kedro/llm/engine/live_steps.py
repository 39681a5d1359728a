"""Steps of an episode while a run makes them: from the journal what was paid for, from model and sandbox the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, Protocol, TypeVar

from omr_kedro.llm.calls.episode import NO_SANDBOX, CodeRunner, CodeSession, Episode, OpenSession
from omr_kedro.llm.calls.plan import CallPlan
from omr_kedro.llm.calls.request import Completion, ConversationKeys, Request
from omr_kedro.llm.engine.open_shard import OpenShard
from omr_kedro.llm.engine.progress import Tally
from omr_kedro.llm.engine.steps import PYTHON, End, EpisodeError, EpisodeSteps, Step, raise_first
from omr_kedro.shards.printable import printable_line

Result = TypeVar("Result")

_MOST_SESSIONS = 3
"""Sessions in which a piece of code is tried, where the sandbox dies before it has an outcome."""
_DETAIL_CHARS = 300
_TURNS_TO_FOLLOW = 6
"""Turns of the event loop from the end of a call to the next step of its episode: branches are awaited in between."""


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

    @property
    def may_follow(self) -> bool:
        """Whether a slot in which a call has ended may be used for the next one of its episode at once."""
        ...

    async def following_slot(self) -> None:
        """Wait for a slot of the window, before all that is not open yet."""
        ...

    def give_back(self) -> None:
        """Give back a slot."""
        ...

    async def call(self, shard: OpenShard, request: Request, key: str) -> Completion:
        """Make a call; whoever asks for it holds a slot."""
        ...

    async def run_code(self, shard: OpenShard, run: Awaitable[Completion]) -> Completion:
        """Have code run."""
        ...

    def stop(self, error: BaseException | None) -> None:
        """End the run, after what is under way."""
        ...


class LiveSteps(EpisodeSteps):
    """Steps of an episode that was opened with a slot for its first call.

    A slot of the window is held while a call is in flight, and for the few turns of the event loop in which the episode
    can ask for its next one; a core of the sandbox only while code runs.
    """

    keeps_texts = False

    def __init__(self, maker: Maker, shard: OpenShard, episode: Episode) -> None:
        super().__init__(episode, maker.plan.model.identity, maker.plan.episodes)
        self._maker = maker
        self._shard = shard
        self._slots = 1
        """Slots that it holds with no call in them."""
        self._tasks: dict[asyncio.Future[Any] | None, ConversationKeys] = {}
        """Its own task and those of its branches, each with a conversation of its own."""
        self._processes: dict[CodeSession, OpenSession] = {}

    async def play(self) -> End | None:
        """Play the episode to its end; see `EpisodeSteps`.

        Raises:
            CancelledError: the run is stopping.
        """
        self._tasks[asyncio.current_task()] = ConversationKeys(self._model)
        try:
            end = await super().play()
        except asyncio.CancelledError:
            if self._maker.stopping:
                raise
            end = self._crashed("the episode did not wait for the end of its own step")
        if end:
            self.steps = [step for step in self.steps if self._shard.has(step.key)]
        return end

    async def together(self, branches: Iterable[Awaitable[Result]]) -> list[Result]:
        """The results of branches that wait at the same time; see `calls.Steps`."""
        tasks = [asyncio.ensure_future(branch) for branch in list(branches)]
        for task in tasks:
            self._tasks[task] = ConversationKeys(self._model)
            task.add_done_callback(self._tasks.pop)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        raise_first([result for result in results if isinstance(result, BaseException)])
        return [result for result in results if not isinstance(result, BaseException)]

    async def close(self) -> None:
        """End the episode's sessions, and give back the slots that are not used."""
        self._free_slots()
        closing = [process.close() for process in self._processes.values()]
        if closing:
            await asyncio.gather(*closing)

    def _conversation(self) -> ConversationKeys:
        found = self._tasks.get(asyncio.current_task())
        if found is None:  # the episode might be over when the step ends
            raise EpisodeError("steps wait at the same time by `steps.together` alone")
        return found

    def _take(self, step: Step) -> None:
        self._conversation()
        super()._take(step)

    async def _outcome(self, step: Step) -> Completion:
        try:
            found = await self._found(step)
        except Exception as error:  # the journal cannot be read: that is no failure of the episode
            self._maker.stop(error)
            raise asyncio.CancelledError from error
        if found:
            return found
        self._shard.begin(step.key)
        try:
            if step.request is None:
                self._free_slots()
                return await self._maker.run_code(self._shard, self._run(step))
            return await self._call(step.request, step.key)
        finally:
            self._shard.abandon(step.key)

    async def _call(self, request: Request, key: str) -> Completion:
        if self._slots and self._maker.may_follow:
            self._slots -= 1
        else:
            await self._maker.following_slot()
        try:
            return await self._maker.call(self._shard, request, key)
        finally:
            self._slots += 1
            self._free_soon(_TURNS_TO_FOLLOW)

    async def _found(self, step: Step) -> Completion | None:
        """The outcome of a step that was made before, or that another episode makes just now."""
        key = step.key
        while True:
            if found := self._shard.known(key):
                earlier = self._shard.reuse(key)
                self._maker.tally.reused += bool(earlier and step.request and step.request.asks_model)
                return found
            if self._maker.stopping:
                raise asyncio.CancelledError
            if key not in self._shard.asked:
                return None
            self._free_slots()  # the other step may wait for them
            if made := await self._shard.outcome(key):
                return made

    def _free_soon(self, turns: int) -> None:
        """Give a slot back, unless the next call of the episode takes it within these turns of the event loop."""
        if turns:
            asyncio.get_running_loop().call_soon(self._free_soon, turns - 1)
        elif self._slots:
            self._slots -= 1
            self._maker.give_back()

    def _free_slots(self) -> None:
        while self._slots:
            self._slots -= 1
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
            if self._maker.stopping:  # which the sandbox may have been told as well: this says nothing of the code
                raise asyncio.CancelledError
            problem = printable_line(outcome.stderr or str(outcome.status), _DETAIL_CHARS)
            await self._processes.pop(session).close()
        return Completion(step.key, model=PYTHON, tries=_MOST_SESSIONS, error_kind=NO_SANDBOX, error=problem)

    def _open(self, sandbox: CodeRunner, session: CodeSession) -> OpenSession:
        process = self._processes[session] = sandbox.session(session.seed_key, session.earlier)
        return process
