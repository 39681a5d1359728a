"""The end of a run: results, and their places."""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import rich
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from rich.table import Table

from omr_kedro.datasets import ShardsDataset
from omr_kedro.hooks.inputs import chat_models
from omr_kedro.hooks.stage_report import StageReport
from omr_kedro.screen import add_numbers, say, stage_rows
from omr_kedro.shards import READING_CRASHED, Shards, printable_name
from omr_kedro.shards.printable import printable

_EXAMPLE_CHARS = 70


class RunSummary:
    """Says what a run has made, and where it is. The session adds it to runs that make something."""

    def __init__(self, report: StageReport) -> None:
        """Close what a report has begun.

        Args:
            report: of the run's stages.
        """
        self._report = report

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Close the run with what a person wants to know."""
        env = run_params.get("env") or "base"
        report = self._report
        if report.up_to_date:
            say(report.told_up_to_date())
        if "funnel" in pipeline.all_outputs():
            _show_funnel(pipeline, catalog)
        elif "raw_data_summary" in pipeline.all_outputs():
            _show_preparation(catalog, env)
        else:
            _show_tables(pipeline, catalog)
        _show_crashes(pipeline, catalog)
        if spent := report.spent():
            say(f"This run: {spent}.")
        if report.code_run.cells:
            say(f"Code in the sandbox: {report.code_run}.")
        for sentence in report.surprises:
            say(f"LOOK AT THIS: {sentence}.")
        if "funnel" in pipeline.all_outputs():
            _show_way_on(catalog, env)


_RESULTS = {
    "problems": "clean problems with answers:",
    "contamination": "judged benchmark pairs:",
    "contamination_review": "pairs without a clear verdict:",
    "contamination_report": "contamination by benchmark:",
    "answer_quality_summary": "what is doubtful about answers:",
    "funnel": "the funnel:",
    "funnel_reasons": "what was not kept, by reason:",
    "funnel_plot": "the funnel as a plot:",
}


def _show_funnel(pipeline: Pipeline, catalog: DataCatalog) -> None:
    rich.get_console().print(funnel_table(catalog.load("funnel")))
    for name, meaning in _RESULTS.items():
        say(f"  {meaning:<34} {_where(catalog, name)}")
    for model in chat_models(pipeline, catalog).values():
        note = f" ({model.note})" if model.note else ""
        say(f"Replies came from {model.load().name}{note}.")


def _show_way_on(catalog: DataCatalog, env: str) -> None:
    problems = catalog.get("problems")
    rows = problems.store.head(1, ["problem_id", "problem"]) if isinstance(problems, ShardsDataset) else []
    for row in rows:
        say(f"One problem: {_one_line(row['problem'])}")
        say(f"  where it comes from:   kedro lineage {row['problem_id']} --env {env}")
    if not rows:
        say("No problem is left: the funnel and its reasons say where they went.")
    say(f"  lineage and the plot:  kedro viz run --env {env}   (the plot is the node funnel_plot)")


def _one_line(text: str) -> str:
    return textwrap.shorten(printable(text), _EXAMPLE_CHARS, placeholder=" …")


def _show_preparation(catalog: DataCatalog, env: str) -> None:
    rich.get_console().print(_plain_table("What became of the dump", catalog.load("raw_data_summary")))
    say(f"  Next: kedro run --env {env} --params=raw_threads={_where(catalog, 'forum_threads')}")


def _show_tables(pipeline: Pipeline, catalog: DataCatalog) -> None:
    """List the tables that a part of the pipeline has made, in its order."""
    for name in (name for node in pipeline.nodes for name in node.outputs):
        if isinstance(catalog.get(name), ShardsDataset):
            say(f"  {name:<34} {catalog.load(name).count:>9,} rows  {_where(catalog, name)}")


def _show_crashes(pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Say how many rows met a fault of this program, and show the first, so that somebody mends it."""
    names = [name for node in pipeline.nodes for name in node.outputs if name.endswith(("_dropped", "_rejected"))]
    tables: dict[str, Shards] = {name: catalog.load(name) for name in names}
    counts = Counter({name: sum(_crashed(table)) for name, table in tables.items()})
    if first := next((name for name in names if counts[name]), None):
        row = next(row for row in tables[first].rows() if row["reason"] == READING_CRASHED)
        say(
            f"{counts.total():,} rows met a fault of this program ({READING_CRASHED}); please report it. The first, in "
            f"{first}: {printable_name(row['detail'])}"
        )


def _crashed(table: Shards) -> Iterator[bool]:
    return (reason == READING_CRASHED for shard in table.values() for reason in shard.column("reason"))


def _where(catalog: DataCatalog, name: str) -> str:
    dataset = catalog.get(name)
    path = str(dataset._describe().get("filepath")) if dataset else name
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path


def funnel_table(funnel: pd.DataFrame) -> Table:
    """The funnel for a screen of 80 columns or more; ways apart are told below their stage."""
    table = stage_rows("Funnel: rows in = kept + dropped + failed")
    table.add_column("unit", no_wrap=True)
    numbers = ("rows_in", "kept", "dropped", "failed", "rows_out")
    add_numbers(table, *(name.replace("rows_", "") for name in numbers))
    for row in funnel.to_dict("records"):
        table.add_row(row["stage"], row["unit"], *(f"{row[name]:,}" for name in numbers))
        if row.get("branches") and isinstance(row["branches"], str):
            table.add_row(f"  {row['branches']}")
    return table


def _plain_table(title: str, frame: pd.DataFrame) -> Table:
    table = Table(title=title)
    for name in frame.columns:
        table.add_column(name.replace("_", " "), justify="right" if name == "rows" else "left")
    for row in frame.fillna("").itertuples(index=False):
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row))
    return table
