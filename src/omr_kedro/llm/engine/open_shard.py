"""A shard while its calls are made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any

from omr_kedro.llm.calls.request import CallIdentity, Completion
from omr_kedro.llm.engine.journal import ShardJournal
from omr_kedro.llm.engine.steps import End, Step
from omr_kedro.shards import Finished


class OpenShard:
    """A shard some of whose calls are still to come."""

    def __init__(self, shard_id: str, journal: ShardJournal, *, damaged: bool = False) -> None:
        """Open a shard; `damaged` says that its file was, so that people want to know what is asked again."""
        self.id = shard_id
        self.journal = journal
        self.damaged = damaged
        self.rows: list[tuple[int, CallIdentity, str]] = []
        """Of each row of the table: number of the request or episode in the plan, identity, and key of the call. No
        texts, which are large."""
        self.failures: dict[str, Completion] = {}
        """Outcomes that may pass, and so are in no journal."""
        self.asked: dict[str, asyncio.Future[Completion] | None] = {}
        """Steps under way, by key; each with a future once somebody else waits for its outcome."""
        self.under_way = 0
        """Requests and episodes that have not come to their end."""
        self.found = self.made = 0
        """Steps that were found in the journal, and those that were made since it was opened."""
        self.fed = False
        self._ends: dict[str, Completion] = {}
        self._ends_settled = True
        self._counted: set[str] = set()
        """Steps of this run, and those of earlier runs that were counted."""

    @property
    def ended(self) -> bool:
        """Whether all that is asked has come to its end."""
        return self.fed and not self.under_way

    def has(self, key: str) -> bool:
        """Whether a step has an outcome."""
        return key in self.journal or key in self.failures

    def known(self, key: str) -> Completion | None:
        """The outcome of a step that has one; None for others."""
        if key in self.journal:
            return self.journal.completion(key)
        return self.failures.get(key)

    def reuse(self, key: str) -> bool:
        """Whether an earlier run has paid for a step; true once, however many rows share it."""
        new = key in self.journal and key not in self._counted
        self._counted.add(key)
        self.found += new
        return new

    def begin(self, key: str) -> None:
        """Take note of a step that is made from here on, until it is settled or abandoned."""
        self.asked[key] = None
        self._counted.add(key)

    async def outcome(self, key: str) -> Completion | None:
        """The outcome of a step that another makes; None when it was abandoned."""
        waiting = self.asked[key]
        if waiting is None:
            waiting = self.asked[key] = asyncio.get_running_loop().create_future()
        await asyncio.wait([waiting])
        return None if waiting.cancelled() else waiting.result()

    def settle(self, completion: Completion) -> None:
        """Take the outcome of a step; the journal has it already, unless it may pass."""
        self.made += 1
        key = completion.call_key
        if not completion.settled:
            self.failures[key] = completion
        elif self.failures:
            self.failures.pop(key, None)
        if waiting := self.asked.pop(key):
            waiting.set_result(completion)

    def abandon(self, key: str) -> None:
        """Take note that a step, unless it is settled, ends without an outcome."""
        if waiting := self.asked.pop(key, None):
            waiting.cancel()

    def add(self, number: int, steps: Iterable[Step], end: End | None) -> None:
        """Add the rows of an episode that has ended, and the reason where it ended before its time."""
        # By place: not in the order of asking, which may differ from run to run.
        for step in sorted(steps, key=lambda step: step.identity.place):
            self.rows.append((number, step.identity, step.key))
        if end:
            key = end.completion.call_key
            self.rows.append((number, end.identity, key))
            self._ends[key] = end.completion
            self._ends_settled = self._ends_settled and end.settled

    def finish(self) -> Finished:
        """The shard in the order of the plan, its rows read back one at a time."""
        return Finished(
            self.id, self._rows(), settled=self._ends_settled and not self.failures, after=self.journal.discard
        )

    def retire(self) -> int:
        """Put paid calls that the shard does not hold aside, for a later one; returns how many were not so before."""
        return self.journal.retire({key for _, _, key in self.rows})

    def _rows(self) -> Iterator[dict[str, Any]]:
        for _, identity, key in sorted(self.rows, key=itemgetter(0)):
            yield (self._ends.get(key) or self.failures.get(key) or self.journal.completion(key)).row(identity)
