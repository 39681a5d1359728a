"""The funnel: rows that came in, that stayed, that did not and why; and the check that nothing vanished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from omr_kedro.pipelines.stages import Stage
from omr_kedro.shards import OmrError, Shards, Source


class FunnelError(OmrError):
    """Some stage lost rows or made some up."""


def count_funnel(stages: Sequence[Stage], tables: Mapping[str, Shards | Source]) -> pd.DataFrame:
    """Counts of each stage, the ins and the outs each from their own table.

    Args:
        stages: in the order of the funnel.
        tables: all that the stages name.

    Returns:
        Columns `stage`, `unit`, `rows_in`, `kept`, `dropped`, `failed`, `lost`, `rows_out`, `branches`. A stage
        reconciles when `lost` is 0. `rows_out` differs from `kept` where a row gives several: threads give problems.
        `branches` says where they go where that is not one stage, as "11 on, 2 to convert_proofs".
    """
    return pd.DataFrame([{**_count(stage, tables), "branches": _branches(stage, stages, tables)} for stage in stages])


def count_reasons(stages: Sequence[Stage], tables: Mapping[str, Shards]) -> pd.DataFrame:
    """Rows that each stage dropped or failed for each reason, the most frequent first.

    Args:
        stages: in the order of the funnel.
        tables: their tables of rows that were not kept.

    Returns:
        Columns `stage`, `outcome`, `reason`, `rows`.
    """
    counts = [
        (stage.name, *reason, rows)
        for stage in stages
        for reason, rows in Counter(
            (row["outcome"], row["reason"]) for row in tables[stage.dropped].rows()
        ).most_common()
    ]
    return pd.DataFrame(counts, columns=["stage", "outcome", "reason", "rows"])


def check_funnel(funnel: pd.DataFrame) -> None:
    """Fail the run when some stage does not reconcile.

    Raises:
        FunnelError: names the stages and their counts.
    """
    wrong = funnel[funnel["lost"] != 0]
    if len(wrong):
        raise FunnelError(
            f"These stages do not reconcile (rows in = kept + dropped + failed):\n{wrong.to_string(index=False)}\n"
            "This is a defect of omr_kedro or of a table edited by hand. No row was deleted; please report it."
        )


def plot_funnel(funnel: pd.DataFrame) -> Any:
    """A bar for each stage, split into what was kept, dropped and failed."""
    import plotly.graph_objects as go  # noqa: PLC0415 (half a second that a run without the report does not pay)

    colours = {"kept": "#2a9d8f", "dropped": "#e9c46a", "failed": "#e76f51"}
    labels = funnel["stage"] + " (" + funnel["unit"] + "s)"
    bars = [
        go.Bar(name=name, y=labels, x=funnel[name], orientation="h", marker_color=colour)
        for name, colour in colours.items()
    ]
    layout = {"barmode": "stack", "title": "Rows of each stage", "xaxis_title": "rows"}
    return go.Figure(bars, layout={**layout, "yaxis": {"autorange": "reversed"}})


def _count(stage: Stage, tables: Mapping[str, Shards | Source]) -> dict[str, Any]:
    given = [tables[name] for name in stage.given]
    rows_in = sum(table.count if isinstance(table, Shards) else sum(1 for _ in table.records()) for table in given)
    kept_tables = [_shards(tables, name) for name in stage.kept]
    rows_out = sum(table.count for table in kept_tables)
    kept = _count_ids(kept_tables, f"{stage.per}_id") if stage.per else rows_out
    outcomes = Counter(row["outcome"] for row in _shards(tables, stage.dropped).rows())
    dropped, failed = outcomes["dropped"], outcomes["failed"]
    return {
        "stage": stage.name,
        "unit": stage.per or stage.unit or _unit(given),
        "rows_in": rows_in,
        "kept": kept,
        "dropped": dropped,
        "failed": failed,
        "lost": rows_in - kept - dropped - failed,
        "rows_out": rows_out,
    }


def _unit(given: Iterable[Shards | Source]) -> str:
    return "problem" if all(isinstance(table, Shards) for table in given) else "record"


def _branches(stage: Stage, stages: Sequence[Stage], tables: Mapping[str, Shards | Source]) -> str:
    takers = {name: _takers(name, stages) for name in stage.kept}
    first = min((taker for taken in takers.values() for taker in taken), default=0)
    ways = [
        (_shards(tables, name).count, "on" if first in taken else f"to {' and '.join(stages[t].name for t in taken)}")
        for name, taken in sorted(takers.items(), key=lambda item: item[1])
    ]
    return ", ".join(f"{rows:,} {way}" for rows, way in ways) if len(ways) > 1 and all(takers.values()) else ""


def _takers(table: str, stages: Sequence[Stage]) -> list[int]:
    """Places of the stages that rows of a table go to."""
    return [number for number, stage in enumerate(stages) if table in stage.given]


def _shards(tables: Mapping[str, Shards | Source], name: str) -> Shards:
    table = tables[name]
    assert isinstance(table, Shards), f"{name} is made by a stage"  # noqa: S101
    return table


def _count_ids(tables: Iterable[Shards], column: str) -> int:
    # Rows that come of one row share its shard, so one shard's ids at a time are enough.
    return sum(len({row[column] for row in shard.rows()}) for table in tables for shard in table.values())
