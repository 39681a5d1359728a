"""A shard while its calls are made."""

from __future__ import annotations

from omr_kedro.llm.calls.request import CallIdentity, Completion
from omr_kedro.llm.engine.journal import ShardJournal
from omr_kedro.shards import Finished


class OpenShard:
    """A shard some of whose calls are still to come."""

    def __init__(self, shard_id: str, journal: ShardJournal) -> None:
        self.id = shard_id
        self.journal = journal
        self.rows: list[tuple[CallIdentity, str]] = []
        """Identity of each row of the table, and the key of its call; no texts, which are large."""
        self.failures: dict[str, Completion] = {}
        self.asked: set[str] = set()
        self.fed = False

    @property
    def ended(self) -> bool:
        """Whether every call has ended."""
        return self.fed and not self.asked

    def settle(self, completion: Completion) -> None:
        """Take the outcome of a call; the journal has it already, unless it may pass."""
        if not completion.settled:
            self.failures[completion.call_key] = completion
        self.asked.discard(completion.call_key)

    def finish(self) -> Finished:
        """The shard in the order of its requests, its rows read back one at a time."""
        self.journal.retire({key for _, key in self.rows})
        rows = (self._outcome(key).row(identity) for identity, key in self.rows)
        return Finished(self.id, rows, settled=not self.failures, after=self.journal.discard)

    def _outcome(self, key: str) -> Completion:
        return self.failures.get(key) or self.journal.completion(key)
