"""What an asking node returns: the calls of a table, shard by shard, none of them made yet."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from omr_kedro.llm.limits import Turn
from omr_kedro.llm.model import ChatModel
from omr_kedro.llm.request import Request
from omr_kedro.shards import Check, Finished, Scratch, accept


@dataclass(frozen=True)
class Asking:
    """A table of completions to be made (`shards.Making`)."""

    name: str
    """What the calls are for, in progress and error messages."""
    model: ChatModel
    requests: Callable[[str], Iterable[Request]]
    """The calls of one shard, in the order of the table."""
    expected: Mapping[str, int]
    """About how many calls each shard has, for progress and for the share of failures."""
    fingerprints: Mapping[str, str]
    max_failed_share: float = 0.05
    few_failures: float = 1
    """So many failures say nothing about a share, however few the calls are."""
    check: Check = accept
    turn: Turn | None = None
    """Its place among tables that are asked for at the same time: calls with the lowest turn go first. Such tables log
    nothing of their own; who shares the work out reports on all."""

    def finished(self, pending: Sequence[str], scratch: Callable[[str], Scratch]) -> Generator[Finished, None, None]:
        """Make the calls that no earlier run has paid for."""
        from omr_kedro.llm.engine import run  # noqa: PLC0415 (the engine needs this class)

        return run(self, pending, scratch)
