"""omr_kedro: keyed, journalled, synced, and written as a table."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.contenders.contract import Job, contend, question
from omr_kedro import tables
from omr_kedro.llm.calls import CallPlan, Request, Sampling
from omr_kedro.llm.endpoint import ClientKind, Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.shards import TableStore
from omr_kedro.shards.identity import shard_names

_A_SHARD = 1000


def work(job: Job, client: ClientKind = "aiohttp") -> int:
    """Ask for one table."""
    shards = dict(zip(shard_names(-(-job.calls // _A_SHARD)), range(0, job.calls, _A_SHARD), strict=True))

    def requests(name: str) -> Iterator[Request]:
        first = shards[name]
        for number in range(first, min(first + _A_SHARD, job.calls)):
            messages = [{"role": "user", "content": question(number)}]
            yield Request(str(number), messages, Sampling(temperature=0.6, max_tokens=4096), "bench")

    entry = ModelEntry("bench", job.endpoint, client=client, limits=Limits(max_in_flight=job.in_flight))
    store = TableStore(job.folder / "table", "jsonl", tables.COMPLETIONS)
    store.save(
        CallPlan(
            name="bench",
            model=ChatModel(entry),
            asks=requests,
            expected=dict.fromkeys(shards, _A_SHARD),
            fingerprints=dict.fromkeys(shards, "bench"),
        )
    )
    return sum(row["error_kind"] is None for row in store.shards().rows())


if __name__ == "__main__":
    contend(work)
