"""The page for people, from reports and tables; of the tables, a few columns and the rows that are shown."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from omr_kedro import __version__
from omr_kedro.publishing.facts import DescriptionOptions, Funnel, records
from omr_kedro.publishing.report import Example, ModeCounts, Report, report_page
from omr_kedro.shards import Row, Shards

_EXAMPLES = 10


class ModeTables(NamedTuple):
    """Tables of one way to solve, by name."""

    mode: str
    votes: str
    references: str
    solutions: str
    summaries: str = ""
    """Empty where solutions of this way have none."""


def write_report_page(
    options: DescriptionOptions,
    modes: Iterable[ModeTables],
    tables: Mapping[str, Shards],
    funnels: Iterable[Funnel],
    calls: pd.DataFrame,
) -> str:
    """The page, with ten random solutions of all ways, the same ones for the same seed."""
    modes = list(modes)
    return report_page(
        Report(
            title=options.title,
            version=__version__,
            funnels=list(funnels),
            calls=records(calls),
            modes=[_counts(mode, tables) for mode in modes],
            examples=list(_examples(modes, tables, options.seed)),
        )
    )


def _counts(mode: ModeTables, tables: Mapping[str, Shards]) -> ModeCounts:
    votes = tables[mode.votes]
    return ModeCounts(
        mode.mode,
        drawn=Counter(_column(votes, "samples_drawn")),
        stop_reasons=dict(Counter(_column(votes, "stop_reason")).most_common()),
        agreement=_tenths(_column(votes, "agreement")),
        pass_rates=_tenths(_column(tables[mode.references], "pass_rate")),
    )


def _column(table: Shards, name: str) -> Iterator[Any]:
    for shard in table.values():
        yield from shard.column(name)


def _tenths(shares: Iterable[float | None]) -> Counter[int]:
    return Counter(min(9, int(share * 10)) for share in shares if share is not None)


def _examples(modes: list[ModeTables], tables: Mapping[str, Shards], seed: int) -> Iterator[Example]:
    chosen = heapq.nsmallest(
        _EXAMPLES,
        (
            (_drawn(seed, solution_id), place, shard, solution_id)
            for place, mode in enumerate(modes)
            for shard in tables[mode.solutions]
            for solution_id in tables[mode.solutions][shard].column("solution_id")
        ),
    )
    for _, place, shard, solution_id in chosen:
        mode = modes[place]
        solution = _row(tables[mode.solutions], shard, solution_id)
        if solution:
            summaries = tables.get(mode.summaries)
            yield Example(solution, _row(summaries, shard, solution_id) if summaries is not None else None)


def _drawn(seed: int, solution_id: str) -> bytes:
    """A number that is chance, and the same for the same seed whatever the order of the rows."""
    return hashlib.sha256(f"{seed} {solution_id}".encode()).digest()


def _row(table: Shards, shard: str, solution_id: str) -> Row | None:
    # A summary lies in the shard of its solution; where it has several samples, the first is as good.
    rows = table[shard].rows() if shard in table else iter(())
    return next((row for row in rows if row["solution_id"] == solution_id), None)
