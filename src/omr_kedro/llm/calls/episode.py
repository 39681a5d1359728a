"""Episodes: what is asked about a row where a call depends on what came before.

An episode is an async function that talks to `Steps` alone::

    async def episode(steps: Steps) -> None:
        replies = await steps.together(steps.ask(request) for request in first_round)
        if undecided(replies):
            await steps.together(steps.ask(request) for request in second_round)

It is started again on resume, and its steps are answered from the journal as far as they were paid for. So it must
decide by the results of its steps alone: no clock, no chance, no file, not who finished first. Nothing is returned:
the steps themselves are the table, and whoever reads the table decides what they mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import orjson

from omr_kedro.llm.calls.request import CallIdentity, Completion, Request

Result = TypeVar("Result")

STEP_LIMIT, TOKEN_LIMIT, TIME_LIMIT = "step_limit", "token_limit", "time_limit"
"""Kinds of errors in rows of the kind `end`: a limit of `EpisodeLimits` was reached."""
CRASHED = "episode_crashed"
"""Kind of the error in a row of the kind `end`: the episode raised an error of its own."""
NO_SANDBOX = "sandbox_unavailable"
"""Kind of the error in a row of the kind `code`: the code was never run to an outcome."""


class StepFailedError(Exception):
    """A step failed for good. Not caught, it ends the episode, and the step's row says why."""

    def __init__(self, completion: Completion) -> None:
        super().__init__(f"{completion.error_kind}: {completion.error}")
        self.completion = completion


class CodeSession:
    """One namespace in which pieces of code run one after the other: what was run in it, and no process."""

    def __init__(self, request: Request, sandbox: object) -> None:
        """A fresh one; see `Steps.session`.

        Args:
            request: of the sample that it belongs to.
            sandbox: `CodeRunner.identity`.
        """
        self._whose = CallIdentity(request.row_id, request.part, request.sample_index, None, request.prompt_hash)
        self.seed_key = f"{request.row_id}/{request.part}/{request.sample_index}"
        """The sandbox seeds the session by this: equal code has equal output in every run."""
        self.earlier: list[tuple[str, str]] = []
        """Pieces of code that have an outcome, each with its status."""
        self._pieces = 0
        self._chain = orjson.dumps(["code", self.seed_key, sandbox], default=str)

    def next(self, code: str) -> tuple[CallIdentity, str]:
        """Identity and key of the next piece of code; the key is made of all pieces so far."""
        self._chain = hashlib.sha256(self._chain + code.encode("utf-8", "surrogatepass")).digest()
        identity = self._whose._replace(turn=self._pieces, kind="code")
        self._pieces += 1
        return identity, self._chain.hex()[:32]


class Steps(Protocol):
    """The only things that an episode may wait for. Each is paid for once, whatever happens to the process."""

    async def ask(self, request: Request) -> Completion:
        """The reply to a request about this episode's row.

        Raises:
            StepFailedError: there will be none.
        """
        ...

    def session(self, request: Request) -> CodeSession:
        """A fresh namespace for code of the sample that a request belongs to (row, part and sample index).

        It takes nothing before code is run, and ends with the episode.
        """
        ...

    async def run(self, session: CodeSession, code: str) -> Completion:
        """Run code; `text` of the result is its output, `finish_reason` how it ended (`sandbox.Status`).

        Raises:
            StepFailedError: there is no sandbox that would run it.
        """
        ...

    async def together(self, branches: Iterable[Awaitable[Result]]) -> list[Result]:
        """The results of branches that wait at the same time, in the order of the branches.

        All of them come to their end, since they are paid for; then the first error among them is raised.
        """
        ...


@dataclass(frozen=True)
class Episode:
    """An episode about one row."""

    row_id: str
    play: Callable[[Steps], Awaitable[None]]
    prompt_hash: str = ""
    """Of the prompt that it asks by, for rows that are no reply."""


Ask = Request | Episode
"""Question about a row; a request alone is the shortest episode."""


@dataclass(frozen=True)
class EpisodeLimits:
    """Safety nets of one episode. They are no part of what is asked: an episode that plans its rounds never meets them.

    An episode that reaches one has an `end` row with the kind of the limit. Limits are looked at before each step, and
    no step is given up for one.
    """

    steps: int | None = None
    """Model calls and runs of code."""
    tokens: int | None = None
    """Completion tokens of all its replies."""
    seconds: float | None = None
    """Since it was started in this run; the next run goes on where it stood, and has the time anew."""


class CodeOutcome(Protocol):
    """Outcome of one piece of code, as a sandbox tells it (`sandbox.Result`)."""

    @property
    def status(self) -> Any:
        """How it ended, as a word."""
        ...

    @property
    def stdout(self) -> str:
        """Standard output, cut at a limit."""
        ...

    @property
    def stderr(self) -> str:
        """Standard error, cut at a limit."""
        ...

    @property
    def seconds(self) -> float:
        """How long it ran."""
        ...

    @property
    def settled(self) -> bool:
        """Whether it tells of the code, and not of the sandbox."""
        ...


class OpenSession(Protocol):
    """A session of a sandbox."""

    async def run(self, code: str) -> CodeOutcome:
        """Run code, after all that was run in this session before."""
        ...

    async def close(self) -> None:
        """End it."""
        ...


class CodeRunner(Protocol):
    """A sandbox as episodes need it (`sandbox.Sandbox`)."""

    @property
    def identity(self) -> Any:
        """All of it that decides what code answers."""
        ...

    def session(self, key: str, earlier: Sequence[tuple[str, Any]] = ()) -> OpenSession:
        """A session, seeded by the key, in which the earlier pieces of code (each with its status) were run."""
        ...


@dataclass(frozen=True)
class EpisodeOptions:
    """Means and bounds of the episodes of a plan."""

    sandbox: CodeRunner | None = None
    """Where their code runs; None where they run none."""
    limits: EpisodeLimits = field(default_factory=EpisodeLimits)
