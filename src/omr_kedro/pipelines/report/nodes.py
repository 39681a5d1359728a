"""The funnel: what came in, what stayed, what did not and why; and the check that nothing vanished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd

from omr_kedro.pipelines.assess_answers.nodes import ASSESSED_TABLE
from omr_kedro.shards import OmrError, Shards, Source


class FunnelError(OmrError):
    """Some stage lost rows or made some up."""


class Stage(NamedTuple):
    """Where a stage's rows come from and go to, as names of tables."""

    name: str
    unit: str
    """What is counted: a record of the file, a thread, or a problem."""
    given: tuple[str, ...]
    kept: tuple[str, ...]


STAGES = (
    Stage("prepare_threads", "record", (), ("threads",)),
    Stage("extract_problems", "thread", ("threads",), ("extracted_problems",)),
    Stage("classify_proof", "problem", ("extracted_problems",), ("proofs", "non_proofs")),
    Stage("classify_mcq", "problem", ("non_proofs",), ("open_problems",)),
    Stage("classify_binary", "problem", ("open_problems",), ("non_binary_problems",)),
    Stage("classify_invalid", "problem", ("non_binary_problems",), ("valid_problems",)),
    Stage("extract_answers", "problem", ("valid_problems",), ("answered_problems",)),
    Stage("convert_proofs", "problem", ("proofs",), ("converted_proofs",)),
    Stage("classify_converted_mcq", "problem", ("converted_proofs",), ("open_converted_proofs",)),
    Stage("classify_converted_binary", "problem", ("open_converted_proofs",), ("non_binary_converted_proofs",)),
    Stage("classify_converted_invalid", "problem", ("non_binary_converted_proofs",), ("valid_converted_proofs",)),
    Stage("merge_problems", "problem", ("answered_problems", "valid_converted_proofs"), ("all_problems",)),
    Stage("assess_answers", "problem", (ASSESSED_TABLE,), ("assessed_problems",)),
    Stage("deduplicate", "problem", ("assessed_problems",), ("distinct_problems",)),
    Stage("decontaminate", "problem", ("distinct_problems",), ("problems",)),
)
"""In the order of the pipeline; each also has a table `<name>_dropped` (threads: `threads_dropped`)."""


def dropped_table(stage: Stage) -> str:
    """Name of the table of rows that the stage did not keep."""
    return "threads_dropped" if stage.name == "prepare_threads" else f"{stage.name}_dropped"


def tables() -> list[str]:
    """Names of all tables that the funnel is counted from."""
    names = [name for stage in STAGES for name in (*stage.given, *stage.kept, dropped_table(stage))]
    return list(dict.fromkeys(names))


def count_funnel(raw: Source, **tables: Shards) -> pd.DataFrame:
    """Counts of each stage, the ins and the outs each from their own table.

    Returns:
        Columns `stage`, `unit`, `rows_in`, `kept`, `dropped`, `failed`, `lost`, `rows_out`. A stage reconciles when
        `lost` is 0. `rows_out` differs from `kept` where a row gives several: threads give problems.
    """
    return pd.DataFrame([_count(stage, raw, tables) for stage in STAGES])


def count_reasons(**tables: Shards) -> pd.DataFrame:
    """How many rows each stage dropped or failed for which reason, the most frequent first."""
    reasons = Counter(
        (stage.name, row["outcome"], row["reason"]) for stage in STAGES for row in tables[dropped_table(stage)].rows()
    )
    rows = [(*key, count) for key, count in reasons.most_common()]
    order = {stage.name: place for place, stage in enumerate(STAGES)}
    rows.sort(key=lambda row: order[row[0]])
    return pd.DataFrame(rows, columns=["stage", "outcome", "reason", "rows"])


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


def _count(stage: Stage, raw: Source, tables: dict[str, Shards]) -> dict[str, Any]:
    rows_in = sum(tables[name].count for name in stage.given) if stage.given else sum(1 for _ in raw.records())
    outcomes = Counter(row["outcome"] for row in tables[dropped_table(stage)].rows())
    rows_out = sum(tables[name].count for name in stage.kept)
    kept = _threads(tables[name] for name in stage.kept) if stage.unit == "thread" else rows_out
    dropped, failed = outcomes["dropped"], outcomes["failed"]
    return {
        "stage": stage.name,
        "unit": stage.unit,
        "rows_in": rows_in,
        "kept": kept,
        "dropped": dropped,
        "failed": failed,
        "lost": rows_in - kept - dropped - failed,
        "rows_out": rows_out,
    }


def _threads(tables: Iterable[Shards]) -> int:
    # A thread's rows share its shard, so one shard's ids at a time are enough.
    return sum(len({row["thread_id"] for row in shard.rows()}) for table in tables for shard in table.values())
