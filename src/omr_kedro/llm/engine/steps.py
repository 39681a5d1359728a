"""Steps of an episode: their keys, their rows, and the limits that they meet, wherever their outcomes come from."""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import orjson

from omr_kedro.llm.calls.episode import (
    CRASHED,
    STEP_LIMIT,
    TIME_LIMIT,
    TOKEN_LIMIT,
    CodeSession,
    Episode,
    EpisodeOptions,
    StepFailedError,
)
from omr_kedro.llm.calls.request import CallIdentity, Completion, ConversationKeys, Request
from omr_kedro.shards.printable import printable_line

Result = TypeVar("Result")

PYTHON = "python"
"""Name that stands in `model` of rows of code."""
_DETAIL_CHARS = 300


class EpisodeError(Exception):
    """An episode asked for something that no episode may."""


class EpisodeOverError(BaseException):
    """An episode is over, whatever it makes of this. No `Exception`, which it might take for the failure of a step."""


class LimitReachedError(EpisodeOverError):
    """An episode has reached one of its limits (`EpisodeLimits`)."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Step(NamedTuple):
    """One step of an episode, and a row of the table."""

    identity: CallIdentity
    key: str
    request: Request | None = None
    """None for code."""
    session: CodeSession | None = None
    """Where code runs; None for a request."""
    code: str = ""

    @property
    def bare(self) -> Step:
        """The step without its texts, which are large."""
        return Step(self.identity, self.key)


class End(NamedTuple):
    """The reason why an episode ended before its time, as a row."""

    identity: CallIdentity
    completion: Completion

    @property
    def settled(self) -> bool:
        """Whether the next run would end it in the same way."""
        return self.completion.error_kind != TIME_LIMIT


class EpisodeSteps(ABC):
    """Steps of one open episode (`calls.Steps`)."""

    keeps_texts = True
    """Whether what was asked is kept until the episode ends."""

    def __init__(self, episode: Episode, model: str, options: EpisodeOptions) -> None:
        """Open the episode; `model` is the identity of the model that is asked."""
        self.steps: list[Step] = []
        self._episode = episode
        self._model = model
        self._options = options
        self._taken: dict[tuple[object, ...], str] = {}
        self._counted = 0
        self._tokens = 0
        self._over: BaseException | None = None
        """The reason why a step has no outcome, which no episode may pass over."""
        self.began = time.monotonic()
        """When it was opened (monotonic seconds)."""

    async def play(self) -> End | None:
        """Play the episode to its end; returns the reason where that came before its time.

        Errors of single steps end it as well; their rows say why. An error of its own code costs this row alone.
        """
        error: BaseException | None = None
        try:
            await self._episode.play(self)
        except StepFailedError:
            pass
        except (Exception, EpisodeOverError) as raised:
            error = raised
        error = self._over or error
        if error is None:
            return None
        if isinstance(error, LimitReachedError):
            return self._end(error.kind, str(error))
        if isinstance(error, Exception):
            return self._crashed(f"{type(error).__name__}: {error}")
        raise error

    async def ask(self, request: Request) -> Completion:
        """The reply to a request; see `calls.Steps`."""
        if request.row_id != self._episode.row_id:
            raise EpisodeError(f"an episode about {self._episode.row_id} asks about {request.row_id}")
        return await self._step(Step(request.identity(), self._conversation().key(request), request))

    def session(self, request: Request) -> CodeSession:
        """A fresh namespace for code; see `calls.Steps`."""
        if self._options.sandbox is None:
            raise EpisodeError("the plan names no sandbox, so no code can be run")
        return CodeSession(request, self._options.sandbox.identity)

    async def run(self, session: CodeSession, code: str) -> Completion:
        """Run code; see `calls.Steps`."""
        completion = await self._step(Step(*session.next(code), session=session, code=code))
        session.earlier.append((code, completion.finish_reason or ""))
        return completion

    @abstractmethod
    def _conversation(self) -> ConversationKeys:
        """Keys of the conversation that the caller leads: the episode, or one of its branches.

        Raises:
            EpisodeError: the caller is neither.
        """

    @abstractmethod
    async def together(self, branches: Iterable[Awaitable[Result]]) -> list[Result]:
        """The results of branches that wait at the same time; see `calls.Steps`."""

    @abstractmethod
    async def _outcome(self, step: Step) -> Completion:
        """The outcome of a step, from wherever it comes."""

    async def _step(self, step: Step) -> Completion:
        try:
            self._check_limits()
            self._take(step)
            completion = await self._outcome(step)
        except Exception:
            raise
        except BaseException as over:
            # The end of the run counts for more than a limit of the episode.
            if self._over is None or isinstance(self._over, LimitReachedError):
                self._over = over
            raise
        self._tokens += completion.completion_tokens
        if completion.error_kind:
            raise StepFailedError(completion)
        return completion

    def _take(self, step: Step) -> None:
        """Take a step into the table, once.

        Raises:
            EpisodeError: another step has the same place.
        """
        place = step.identity.place
        other = self._taken.get(place)
        if other is None:
            self._taken[place] = step.key
            self.steps.append(step if self.keeps_texts else step.bare)
        elif other != step.key:
            raise EpisodeError(f"two steps are {step.identity}: {other} and {step.key}; give them turns or parts")

    def _check_limits(self) -> None:
        limits = self._options.limits
        if limits.steps is not None and self._counted >= limits.steps:
            raise LimitReachedError(STEP_LIMIT, f"more than {limits.steps:,} steps")
        if limits.tokens is not None and self._tokens >= limits.tokens:
            raise LimitReachedError(TOKEN_LIMIT, f"{self._tokens:,} tokens, of {limits.tokens:,} that it may have")
        if limits.seconds is not None and time.monotonic() - self.began >= limits.seconds:
            raise LimitReachedError(TIME_LIMIT, f"longer than {limits.seconds:g} s; the next run goes on from here")
        self._counted += 1

    def _crashed(self, message: str) -> End:
        return self._end(CRASHED, printable_line(message, _DETAIL_CHARS))

    def _end(self, kind: str, message: str) -> End:
        row_id, prompt_hash = self._episode.row_id, self._episode.prompt_hash
        key = hashlib.sha256(orjson.dumps(["end", row_id, kind, self._model])).hexdigest()[:32]
        identity = CallIdentity(row_id, "", 0, None, prompt_hash, 0, "end")
        return End(identity, Completion(key, model=PYTHON, error_kind=kind, error=message))


def raise_first(errors: Sequence[BaseException]) -> None:
    """Raise the first error, if there is one; before all others what ends the episode, and is no failure of a step."""
    for error in sorted(errors, key=lambda error: isinstance(error, Exception)):
        raise error
