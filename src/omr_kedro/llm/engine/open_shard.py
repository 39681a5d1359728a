"""A shard while its calls are made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

from omr_kedro.llm.calls.request import CallIdentity, Completion
from omr_kedro.llm.engine.journal import ShardJournal
from omr_kedro.llm.engine.steps import End, Step
from omr_kedro.shards import Finished


class OpenShard:
    """A shard some of whose calls are still to come."""

    def __init__(self, shard_id: str, journal: ShardJournal) -> None:
        self.id = shard_id
        self.journal = journal
        self.rows: list[tuple[int, CallIdentity, str]] = []
        """Of each row of the table: number of the request or episode in the plan, identity, and key of the call. No
        texts, which are large."""
        self.failures: dict[str, Completion] = {}
        """Outcomes that may pass, and so are in no journal."""
        self.asked: dict[str, asyncio.Future[Completion]] = {}
        """Calls under way, by key."""
        self.playing = 0
        """Episodes that have not ended."""
        self.fed = False
        self._ends: dict[str, Completion] = {}
        self._settled = True

    @property
    def ended(self) -> bool:
        """Whether every call has ended."""
        return self.fed and not self.asked and not self.playing

    def known(self, key: str) -> Completion | None:
        """The outcome of a call that has one; None for others."""
        if key in self.journal:
            return self.journal.completion(key)
        return self.failures.get(key)

    def settle(self, completion: Completion) -> None:
        """Take the outcome of a call; the journal has it already, unless it may pass."""
        if not completion.settled:
            self.failures[completion.call_key] = completion
            self._settled = False
        waiting = self.asked.pop(completion.call_key)
        waiting.set_result(completion)

    def add(self, number: int, steps: Iterable[Step], end: End | None) -> None:
        """Add the rows of an episode that has ended, and the reason where it ended before its time."""
        self.rows += [(number, step.identity, step.key) for step in steps]
        if end:
            key = end.completion.call_key
            self.rows.append((number, end.identity, key))
            self._ends[key] = end.completion
            self._settled = self._settled and end.settled

    def finish(self) -> Finished:
        """The shard in the order of the plan, its rows read back one at a time."""
        return Finished(self.id, self._rows(), settled=self._settled, after=self.journal.discard)

    def retire(self) -> int:
        """Put paid calls that the shard does not hold aside, for a later one; returns how many were not so before."""
        return self.journal.retire({key for _, _, key in self.rows})

    def _rows(self) -> Iterator[dict[str, Any]]:
        # Within an episode by place: not in the order of asking, which may differ from run to run.
        for _, identity, key in sorted(self.rows, key=lambda row: (row[0], row[1].place)):
            yield (self._ends.get(key) or self.failures.get(key) or self.journal.completion(key)).row(identity)
