"""Plans played by what was paid for alone, with no model, no sandbox and no server."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from omr_kedro.llm.calls.episode import Episode
from omr_kedro.llm.calls.errors import JournalError
from omr_kedro.llm.calls.plan import CallPlan
from omr_kedro.llm.calls.recorded import NoStepError, played
from omr_kedro.llm.calls.request import Completion, ConversationKeys, Request
from omr_kedro.llm.engine.journal import ShardJournal, paid_calls
from omr_kedro.llm.engine.messages import healed
from omr_kedro.llm.engine.open_shard import OpenShard
from omr_kedro.llm.engine.steps import End, EpisodeOverError, EpisodeSteps, Step, raise_first
from omr_kedro.shards import Check, Finished, Scratch
from omr_kedro.shards.spools import RowIndex

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class Paid(Protocol):
    """Steps that were paid for, found by their keys."""

    def __contains__(self, key: str) -> bool: ...

    def completion(self, key: str) -> Completion:
        """The outcome of a step that is here."""
        ...


@dataclass(frozen=True)
class Replayed:
    """A request or an episode as far as it was paid for."""

    number: int
    """Place in the plan of the shard."""
    row_id: str
    steps: Sequence[Step]
    """Its steps, those included that were not paid for."""
    missing: bool
    """Whether a step was not paid for; what would follow from it is not known then."""
    end: End | None = None
    """Why the episode ended before its time."""
    episode: bool = False
    """Whether steps may follow from its steps; nothing follows from a request."""


def replayed(plan: CallPlan, shard_id: str, paid: Paid) -> Iterator[Replayed]:
    """Play what a plan asks about the rows of one shard, one after the other."""
    identity = plan.model.identity
    for number, ask in enumerate(plan.asks(shard_id)):
        if isinstance(ask, Request):
            step = Step(ask.identity(), ask.key(identity), ask)
            yield Replayed(number, ask.row_id, [step], step.key not in paid)
        else:
            yield _played(plan, number, ask, paid)


def _played(plan: CallPlan, number: int, episode: Episode, paid: Paid) -> Replayed:
    steps = _ReplaySteps(episode, plan, paid)
    try:
        end = played(steps.play())
    except _NotPaidError:
        return Replayed(number, episode.row_id, steps.steps, missing=True, episode=True)
    except NoStepError as error:
        raise JournalError("An episode waits for something that is no step, so it cannot be played again.") from error
    return Replayed(number, episode.row_id, steps.steps, missing=False, end=end, episode=True)


class _NotPaidError(EpisodeOverError):
    """A step was not paid for."""


class _ReplaySteps(EpisodeSteps):
    """Steps that are found, or end the episode."""

    def __init__(self, episode: Episode, plan: CallPlan, paid: Paid) -> None:
        super().__init__(episode, plan.model.identity, plan.episodes)
        self._paid = paid
        self._keys = ConversationKeys(self._model)

    def _conversation(self) -> ConversationKeys:
        return self._keys

    async def together(self, branches: Iterable[Awaitable[Result]]) -> list[Result]:
        """The results of branches, one after the other; each is played as far as it goes."""
        results: list[Result] = []
        errors: list[BaseException] = []
        for branch in list(branches):  # all at first, as while they are made
            try:
                results.append(await branch)
            except (Exception, EpisodeOverError) as error:
                errors.append(error)
        raise_first(errors)
        return results

    async def _outcome(self, step: Step) -> Completion:
        if step.key not in self._paid:
            raise _NotPaidError
        try:
            return self._paid.completion(step.key)
        except (LookupError, TypeError, OSError) as error:  # gone, or damaged, since it was looked for
            raise _NotPaidError from error


def is_paid(plan: CallPlan, shard_id: str, scratch: Scratch) -> bool:
    """Whether every step of a shard was paid for. Renders requests until one was not; memory holds only keys."""
    with closing(ReadOnlyJournal(scratch)) as paid:
        return not any(played.missing for played in replayed(plan, shard_id, paid))


class ReadOnlyJournal:
    """The calls of a shard that are paid for, found by key, with nothing written beside it (`Paid`)."""

    def __init__(self, scratch: Scratch, folder: Path | None = None) -> None:
        """Look for what is paid for.

        Args:
            scratch: of the shard.
            folder: for a file without a name that texts are laid aside in.
        """
        self._scratch = scratch
        self._folder = folder or Path(tempfile.gettempdir())
        self._keys = {completion.call_key for completion in paid_calls(scratch)}
        self._rows: RowIndex | None = None

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def completion(self, key: str) -> Completion:
        """The outcome of a call. Texts are laid aside when the first of them is asked for: requests need none."""
        if self._rows is None:
            rows = ((completion.call_key, completion.row()) for completion in paid_calls(self._scratch))
            self._rows = RowIndex(rows, self._folder)
        return Completion.from_row(self._rows[key][-1])

    def close(self) -> None:
        """Let go of the texts."""
        if self._rows:
            self._rows.close()


@dataclass(frozen=True)
class PaidCalls:
    """A plan of calls carried out without its model (`shards.Recipe`), for shards of which `is_paid` holds."""

    plan: CallPlan

    @property
    def fingerprints(self) -> Mapping[str, str]:
        """As of the plan: whoever completes a shard, it is the same."""
        return self.plan.fingerprints

    @property
    def check(self) -> Check:
        """As of the plan."""
        return self.plan.check

    def finished(self, pending: Sequence[str], scratch: Callable[[str], Scratch]) -> Generator[Finished, None, None]:
        """Yield the shards one after the other.

        Raises:
            JournalError: a call was not paid for, or its reply has gone since it was looked for.
        """
        for shard_id in pending:
            place = scratch(shard_id)
            shard = OpenShard(shard_id, ShardJournal(place))
            try:
                for played in replayed(self.plan, shard_id, shard.journal):
                    if played.missing:
                        raise JournalError(
                            f"{self.plan.name}, {shard_id}: the reply to a call that was paid for is gone."
                        )
                    shard.add(played.number, played.steps, played.end)
                if place.damaged:
                    logger.warning(healed(self.plan.name, shard_id, len(shard.rows), 0))
                shard.retire()
                yield shard.finish()
            finally:
                shard.journal.close()
