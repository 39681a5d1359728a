"""Benchmarks from everywhere become one table, or the run stops: what is silently missing would leak."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from omr_kedro.shards import BadInputError, Benchmark, MappedShards, OmrError, Row, code_digest
from omr_kedro.shards.identity import fingerprint, shard_names

_Result = TypeVar("_Result")


class CollectOptions(BaseModel):
    """Which benchmarks make the table."""

    model_config = ConfigDict(extra="forbid")

    without: list[str] = []
    """Names of those to do without; nothing is left out unless it stands here."""


def collect_benchmarks(options: CollectOptions, *benchmarks: Benchmark) -> MappedShards:
    """All benchmarks in one table of one shard (`tables.BENCHMARKS`), fetched again only when one of them changed.

    Raises:
        BadInputError: lists every benchmark that cannot be had, with the way to bring it by hand.
    """
    if unknown := sorted(set(options.without) - {benchmark.name for benchmark in benchmarks}):
        raise BadInputError(
            f"collect_benchmarks.without names {', '.join(unknown)}, but there is no such benchmark. "
            f"Known: {', '.join(benchmark.name for benchmark in benchmarks)}."
        )
    wanted = [benchmark for benchmark in benchmarks if benchmark.name not in options.without]

    def rows(_: str) -> Iterator[Row]:
        for table in _of_each(wanted, lambda benchmark: list(benchmark.rows())):
            yield from table

    identities = _of_each(wanted, lambda benchmark: benchmark.identity)
    return MappedShards({name: fingerprint(code_digest(rows), identities) for name in shard_names(1)}, rows)


def _of_each(benchmarks: Sequence[Benchmark], ask: Callable[[Benchmark], _Result]) -> list[_Result]:
    # All at once: without a network, the hub's client tries for half a minute before it gives up.
    with ThreadPoolExecutor(max(1, len(benchmarks))) as pool:
        asked = [(benchmark, pool.submit(ask, benchmark)) for benchmark in benchmarks]
    results, wrong = [], []
    for benchmark, answer in asked:
        try:
            results.append(answer.result())
        except OmrError as error:
            wrong.append(f"- {benchmark.name}: {error}")
    if wrong:
        raise BadInputError(
            f"{len(wrong)} of {len(benchmarks)} benchmarks cannot be had, and none is left out in silence:\n"
            + "\n".join(wrong)
            + "\nTo do without one on purpose, name it in `collect_benchmarks: {without: […]}` in "
            "conf/local/parameters.yml."
        )
    return results
