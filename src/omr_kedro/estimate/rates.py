"""How many rows come of rows that wait for a call: by the sample, by earlier runs, or by what is assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kedro.pipeline import Node, Pipeline

from omr_kedro.estimate.figures import ASSUMED, MEASURED, SAMPLED
from omr_kedro.estimate.measured import row_rate
from omr_kedro.estimate.options import EstimateOptions
from omr_kedro.estimate.overlay import Overlay
from omr_kedro.lineage.project_tables import is_completions
from omr_kedro.pipelines.stages import Stage, stages_of


@dataclass(frozen=True)
class Rate:
    """A number, what kind it is, and a word on where it comes from."""

    value: float
    kind: str
    told: str


def settled_by(pipeline: Pipeline) -> dict[str, Stage]:
    """For each table that a stage settles its rows into: the stage."""
    return {name: stage for stage in stages_of([pipeline]) for name in (*stage.kept, stage.dropped)}


def parents_of(overlay: Overlay, node: Node, given: Sequence[str]) -> list[str]:
    """The tables that rows are made from: a stage's rows, or else the first table that the node reads."""
    return [name for name in given if overlay.is_table(name)] or tables_read(overlay, node)[:1]


def tables_read(overlay: Overlay, node: Node) -> list[str]:
    """The tables that a node reads, completions excepted."""
    return [name for name in node.inputs if overlay.is_table(name) and not is_completions(overlay.store(name))]


def rate_of(
    overlay: Overlay,
    options: EstimateOptions,
    answered_by: Mapping[str, str],
    node: Node,
    table: str,
    parents: Sequence[str],
    seen: tuple[int, int],
    declared: float | None = None,
) -> Rate:
    """Rows of a table for each row that it is made from, by the best that is known.

    Args:
        overlay: the sample.
        options: what is assumed, and how few rows tell nothing.
        answered_by: whose earlier calls may tell, by table of completions; models keep and write differently.
        node: makes the table.
        table: its name.
        parents: tables that its rows are made from.
        seen: rows that the sample has made it from, and rows that it has made.
        declared: rows that come of one by what the stage declares, where one row gives several.
    """
    given, made = seen
    store = overlay.store(table)
    calls = [(overlay.store(name), answered_by[name]) for name in node.inputs if name in answered_by]
    found = row_rate(store, [overlay.store(name) for name in parents], calls, options.few)
    # The sample's rows are among those of its own workspace, which has more.
    known_better = found is not None and found.where == store.folder.parent.name and found.count > given
    if given >= options.few and not known_better:
        return Rate(made / given, SAMPLED, f"{given:,} rows of the sample")
    if found:
        return Rate(found.value, MEASURED, f"{found.count:,} rows in the workspace {found.where}")
    if assumed := options.rows.get(table):
        return Rate(assumed.rate, ASSUMED, assumed.source)
    if declared is not None:
        return Rate(declared, ASSUMED, "one for each call")
    return Rate(1.0, ASSUMED, "taken as one for each")


def told(table: str, parents: Sequence[str], rate: Rate) -> str:
    """A line on a rate that was used."""
    return f"{table}: {rate.value:.3g} rows for each of {' and '.join(parents)} ({rate.kind}: {rate.told})"
