"""Episodes on the rows that they have made: how a reading node finds its way through what was asked step by step."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, TypeVar

from omr_kedro.llm.calls.episode import CodeSession, StepFailedError
from omr_kedro.llm.calls.request import CallIdentity, Completion, Request
from omr_kedro.shards import Row

Result = TypeVar("Result")


class NoStepError(RuntimeError):
    """An episode waits for something that is no step, so it cannot be played again."""


class NotRecordedError(Exception):
    """A step is not among the rows: the episode did not come so far."""


class RecordedSteps:
    """Steps that are found among the rows about one row, by their places (`calls.Steps`)."""

    def __init__(self, rows: Iterable[Row]) -> None:
        """Take the rows of a completions table that are about one row."""
        self._rows = {_place(row): row for row in rows}

    async def ask(self, request: Request) -> Completion:
        """The reply to a request, whatever it says now."""
        return self._found(request.identity())

    def session(self, request: Request) -> CodeSession:
        """The namespace of a sample."""
        return CodeSession(request, None)

    async def run(self, session: CodeSession, code: str) -> Completion:
        """The output of code."""
        return self._found(session.next(code)[0])

    async def together(self, branches: Iterable[Awaitable[Result]]) -> list[Result]:
        """The results of branches, one after the other."""
        return [await branch for branch in branches]

    def _found(self, identity: CallIdentity) -> Completion:
        row = self._rows.get(identity.place)
        if row is None:
            raise NotRecordedError
        completion = Completion.from_row(row)
        if completion.error_kind:
            raise StepFailedError(completion)
        return completion


def played(episode: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that waits for nothing but steps that have their outcomes.

    Raises:
        NotRecordedError, StepFailedError: as its steps do.
        NoStepError: it waits for something else.
    """
    try:
        episode.send(None)
    except StopIteration as ended:
        result: Result = ended.value
        return result
    episode.close()
    raise NoStepError("an episode waits for something that is no step")


def _place(row: Row) -> tuple[object, ...]:
    names = ("row_id", "part", "sample_index", "seed", "prompt_hash", "turn", "kind")
    return CallIdentity(**{name: row[name] for name in names}).place
