"""The calls of a table, shard by shard, none of them made yet: the recipe that an asking node returns."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from omr_kedro.llm.calls.episode import Ask, EpisodeOptions
from omr_kedro.shards import Check, Finished, Scratch, accept

Priority = tuple[int, ...]
"""Place of a call among those that wait: the lowest goes first."""


class Model(Protocol):
    """A model as nodes see it: it has a name, and makes the calls of a plan."""

    @property
    def name(self) -> str:
        """The name that the endpoint knows the model by."""
        ...

    @property
    def identity(self) -> str:
        """All of the model that decides its replies: its name, and what goes into every request to it."""
        ...

    def make_calls(
        self, plan: CallPlan, pending: Sequence[str], scratch: Callable[[str], Scratch]
    ) -> Generator[Finished, None, None]:
        """Make those calls of the pending shards that no earlier run has paid for; yield the shards as they finish."""
        ...


@dataclass(frozen=True)
class CallPlan:
    """A table of completions to be made (`shards.Recipe`)."""

    name: str
    """The stage, as progress and error messages name it."""
    model: Model
    asks: Callable[[str], Iterable[Ask]]
    """Requests and episodes about the rows of one shard, in the order of the table."""
    expected: Mapping[str, int]
    """Estimated number of calls of each shard, for progress and for the share of failures."""
    fingerprints: Mapping[str, str]
    episodes: EpisodeOptions = field(default_factory=EpisodeOptions)
    """Means and bounds of its episodes."""
    max_failed_share: float = 0.05
    tolerated_failures: float = 1
    """Failures that say nothing about a share, however few the calls are."""
    check: Check = accept
    priority: Priority | None = None
    """The plan's place among those that are carried out at the same time. Such plans log nothing of their own; whoever
    shares the work out reports on all."""

    def finished(self, pending: Sequence[str], scratch: Callable[[str], Scratch]) -> Generator[Finished, None, None]:
        """Make the calls that no earlier run has paid for."""
        return self.model.make_calls(self, pending, scratch)
