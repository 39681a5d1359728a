"""Tables whose calls were all paid for: completed from what is on disk, with no model and no server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

from omr_kedro.llm.calls.errors import JournalError
from omr_kedro.llm.calls.plan import CallPlan
from omr_kedro.llm.engine.journal import ShardJournal, paid_calls
from omr_kedro.llm.engine.messages import healed
from omr_kedro.llm.engine.open_shard import OpenShard
from omr_kedro.shards import Check, Finished, Scratch

logger = logging.getLogger(__name__)


def is_paid(plan: CallPlan, shard_id: str, scratch: Scratch) -> bool:
    """Whether every call of a shard was paid for. Renders requests until one was not; holds only keys of replies."""
    paid = {completion.call_key for completion in paid_calls(scratch)}
    return all(request.key(plan.model.identity) in paid for request in plan.requests(shard_id))


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
                for request in self.plan.requests(shard_id):
                    key = request.key(self.plan.model.identity)
                    if key not in shard.journal:
                        raise JournalError(
                            f"{self.plan.name}, {shard_id}: the reply to a call that was paid for is gone."
                        )
                    shard.rows.append((request.identity(), key))
                if place.damaged:
                    logger.warning(healed(self.plan.name, shard_id, len(shard.rows), 0))
                yield shard.finish()
            finally:
                shard.journal.close()
