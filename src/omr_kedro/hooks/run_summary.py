"""The end of a run: results, and their places."""

from __future__ import annotations

import os
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import rich
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from rich.table import Table

from omr_kedro.datasets import PublishedFilesDataset, ShardsDataset
from omr_kedro.exam.scores import score_in_words
from omr_kedro.exam.view import advice, exam_table
from omr_kedro.hooks.inputs import chat_models
from omr_kedro.hooks.stage_report import StageReport
from omr_kedro.pipelines.judging_stage import CONTROL_REPORT
from omr_kedro.screen import add_numbers, say, stage_rows
from omr_kedro.shards import READING_CRASHED, Row, Shards, printable_name
from omr_kedro.shards.printable import printable
from omr_kedro.solutions.positions import told_of_agreement

_EXAMPLE_CHARS = 70
_POSITIONS = "selection_positions"
_WIDTH = 98
_MOST_LINES = 3
"""Of a conversation."""

COUNTS = "published_counts"
"""Dataset of the counts of what is published."""


@dataclass(frozen=True)
class Chain:
    """A chain of stages that a run may go through, with a funnel of its own."""

    rows: str
    """Name for its rows, in the title of its funnel."""
    funnel: str
    """Dataset of its funnel, and beginning of the name of its plot's."""
    examples: Sequence[str]
    """Tables of which the first that has any row shows its first one."""
    results: Mapping[str, Sequence[str]]
    """Datasets that a person looks at, by their meaning."""

    @property
    def plot(self) -> str:
        """Node that draws its funnel."""
        return f"{self.funnel}_plot"


_CHAINS = [
    Chain(
        "problems",
        "funnel",
        ["problems"],
        {
            "clean problems with answers": ["problems"],
            "compared with benchmarks": ["contamination", "contamination_review", "contamination_report"],
            "doubts about answers": ["answer_quality_summary"],
            "funnels": ["funnel"],
            "not kept, by reason": ["funnel_reasons"],
        },
    ),
    Chain(
        "solutions",
        "solutions_funnel",
        ["cot_solutions", "tir_solutions"],
        {
            "solutions in text, in short": ["cot_solutions", "cot_summaries"],
            "solutions with code, by turns": ["tir_solutions", "tir_turns"],
            "those whose code was of use": ["tir_usefulness"],
            "the answer to each problem": ["reference_answers", "tir_reference_answers"],
            "how samples voted": ["cot_votes", "tir_votes"],
            "samples that are no solutions": ["cot_rejected", "tir_rejected"],
            "funnels": ["solutions_funnel"],
            "not kept, by reason": ["solutions_funnel_reasons"],
            "all of it on one page": ["report_page"],
            "the card of the dataset": ["dataset_card"],
        },
    ),
    Chain(
        "comparisons",
        "genselect_funnel",
        ["right_selections"],
        {
            "comparisons that choose right": ["right_selections", "selection_summaries"],
            "all comparisons": ["selections"],
            "choices by position": ["selection_positions"],
            "funnels": ["genselect_funnel"],
            "not kept, by reason": ["genselect_funnel_reasons"],
        },
    ),
]
"""A meaning that several chains have is told once, with the datasets of all of them."""

_EXAM_RESULTS = {
    "exam_report": "scores and verdicts:",
    "exam_wrong": "rows that are not right:",
    "exam_marks": "all rows with replies:",
}


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
        chains = [chain for chain in _CHAINS if chain.funnel in pipeline.all_outputs()]
        for chain in chains:
            rich.get_console().print(funnel_table(catalog.load(chain.funnel), chain.rows))
        if chains:
            _show_results(chains, catalog)
        elif "raw_data_summary" in pipeline.all_outputs():
            _show_preparation(catalog, env)
        elif "exam_report" in pipeline.all_outputs():
            _show_exam(pipeline, catalog)
        else:
            _show_tables(pipeline, catalog)
        if COUNTS in pipeline.all_outputs():
            _show_dataset(catalog.load(COUNTS), pipeline, catalog)
        if chains:
            _show_models(pipeline, catalog)
        _show_judges(pipeline, catalog)
        _show_crashes(pipeline, catalog)
        if spent := report.spent():
            say(f"This run: {spent}.")
        if report.code_run.cells:
            say(f"Code in the sandbox: {report.code_run}.")
        for sentence in [*report.surprises, *_doubts_about_order(pipeline, catalog)]:
            say(f"LOOK AT THIS: {sentence}.")
        if chains:
            _show_way_on(chains, catalog, env)


def _doubts_about_order(pipeline: Pipeline, catalog: DataCatalog) -> Iterator[str]:
    """A sentence on a judge of candidates that goes by their order, if there is one."""
    if _POSITIONS in pipeline.all_outputs():
        *_, total = catalog.load(_POSITIONS).to_dict("records")
        if told := told_of_agreement(total["asked_twice"], total["agreed"]):
            yield f"{told} (`{_POSITIONS}`)"


def _show_results(chains: list[Chain], catalog: DataCatalog) -> None:
    """Name the files and folders that chains have made, below the folder that they lie in."""
    folders = defaultdict[Path, dict[str, list[str]]](lambda: defaultdict(list))
    for meaning, names in (item for chain in chains for item in chain.results.items()):
        for path in (Path(_where(catalog, name)) for name in names if catalog.exists(name)):
            folders[path.parent][meaning].append(path.name)
    for folder, meanings in folders.items():
        say(f"In {folder}:")
        for meaning, found in meanings.items():
            told = f"  {meaning + ':':<31} {', '.join(found)}"
            for line in textwrap.wrap(told, _WIDTH, subsequent_indent=" " * 34, drop_whitespace=False):
                say(line.rstrip())


def _show_models(pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Name the models, each once, with the word that the configuration has on them."""
    names: dict[str, dict[str, None]] = {}
    for model in chat_models(pipeline, catalog).values():
        names.setdefault(model.note, {})[model.load().name] = None
    for note, models in names.items():
        say(f"Replies came from {', '.join(models)}{f' ({note})' if note else ''}.")


def _show_way_on(chains: list[Chain], catalog: DataCatalog, env: str) -> None:
    rows = [_first_of(catalog, chain.examples) for chain in chains]
    empty = [chain.rows for chain, row in zip(chains, rows, strict=True) if not row]
    if empty:
        say(f"No {empty[0].removesuffix('s')} is left: the funnel and its reasons say where they went.")
    examples = [row for row in [_first(catalog, "problems"), *rows] if row]
    if examples:
        # A solution where there is one, of whichever chain came after.
        example = next((row for row in examples if "solution_id" in row), examples[-1])
        say(f"One problem: {_one_line(example['problem'])}")
        if "solution_id" in example:
            if "messages" not in example:
                _show_solution(example, _first(catalog, "cot_summaries"))
            _show_conversation(_first(catalog, "tir_solutions"), example["problem_id"])
        elif "candidates" in example:
            place = f"{example['chosen'] + 1} of {len(example['candidates'])}"
            say(f"  of its solutions:      {place} was chosen, a right one")
        say(f"  where it comes from:   kedro lineage {example['problem_id']} --env {env}")
    plots = ", ".join(chain.plot for chain in chains)
    say(f"  lineage and plots:     kedro viz run --env {env}")
    say(f"                         plots: {plots}")


def _show_solution(solution: Row, summary: Row | None) -> None:
    in_short = summary and summary["solution_id"] == solution["solution_id"]
    say(f"  solved in text:        {_one_line(summary['summary'] if summary and in_short else solution['solution'])}")
    _show_answer(solution)


def _show_conversation(solution: Row | None, problem_id: str) -> None:
    """Show how a solution with code begins, turn by turn, if it is of this problem."""
    if not solution or solution["problem_id"] != problem_id:
        return
    said = [line for message in orjson.loads(solution["messages"])[1:] for line in _lines_of(message)]
    say("  solved with code:")
    for who, text in said[:_MOST_LINES]:
        say(f"    {who:<20} {_one_line(text)}")
    if len(said) > _MOST_LINES:
        say(f"    … and so on: {len(said) - _MOST_LINES:,} more")
    _show_answer(solution)


def _show_answer(solution: Row) -> None:
    answer = _one_line(solution["predicted_answer"])
    votes = f"{solution['votes_for']:,} of {solution['samples_drawn']:,} samples have it"
    say(f"  and its answer:        {answer} ({solution['verdict']}; {votes})")


def _lines_of(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pieces of one message of a conversation, each with the words for its speaker."""
    if message["role"] == "tool":
        yield "the sandbox prints", message["content"]
        return
    for text in filter(None, (message.get("reasoning"), message["content"])):
        yield "the model says", text
    for call in message.get("tool_calls", ()):
        yield "and runs", orjson.loads(call["function"]["arguments"])["code"]


def _first(catalog: DataCatalog, name: str) -> Row | None:
    """The first row of a table; None where it has none."""
    dataset = catalog.get(name)
    rows = dataset.store.head(1) if isinstance(dataset, ShardsDataset) else []
    return rows[0] if rows else None


def _first_of(catalog: DataCatalog, names: Sequence[str]) -> Row | None:
    """The first row of the first table that has any."""
    return next((row for name in names if (row := _first(catalog, name))), None)


def _one_line(text: str) -> str:
    return textwrap.shorten(printable(text), _EXAMPLE_CHARS, placeholder=" …")


def _show_preparation(catalog: DataCatalog, env: str) -> None:
    rich.get_console().print(_plain_table("What became of the dump", catalog.load("raw_data_summary")))
    say(f"  Next: kedro run --env {env} --params=raw_threads={_where(catalog, 'forum_threads')}")


def _show_exam(pipeline: Pipeline, catalog: DataCatalog) -> None:
    lines = catalog.load("exam_report").to_dict("records")
    rich.get_console().print(exam_table(lines))
    for sentence in advice(lines):
        say(f"  {sentence}")
    _show_models(pipeline, catalog)
    for name, meaning in _EXAM_RESULTS.items():
        say(f"  {meaning:<32} {_where(catalog, name)}")


def _show_tables(pipeline: Pipeline, catalog: DataCatalog) -> None:
    """List the tables that a part of the pipeline has made, in its order."""
    for name in (name for node in pipeline.nodes for name in node.outputs):
        if isinstance(catalog.get(name), ShardsDataset):
            say(f"  {name:<34} {catalog.load(name).count:>9,} rows  {_where(catalog, name)}")


def _show_dataset(counts: pd.DataFrame, pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Say where the dataset is, what is in it, and which configs have no rows and so no files."""
    published = next(name for name in pipeline.all_outputs() if isinstance(catalog.get(name), PublishedFilesDataset))
    say(f"  {'the dataset for trainers:':<31} {_where(catalog, published)}")
    written, empty = counts[counts["rows"] > 0], counts[counts["rows"] == 0]
    if len(written):
        held = ", ".join(f"{row.config} {row.rows:,}" for row in written.itertuples())
        for line in textwrap.wrap(f"Rows of its configs: {held}.", _WIDTH, subsequent_indent="  "):
            say(line)
    for row in empty.itertuples():
        say(f"  no rows, so no files, of {row.config}: {row.empty}")


def _show_judges(pipeline: Pipeline, catalog: DataCatalog) -> None:
    """A line on the judges: how often each was right about its controls."""
    reports = [name for node in pipeline.nodes for name in node.outputs if name.endswith(CONTROL_REPORT)]
    lines = [catalog.load(name).iloc[0] for name in reports]
    if told := ", ".join(f"{line['stage']} {score_in_words(line)}" for line in lines if line["rows"]):
        say(f"Judges, right about pairs that are known: {told}.")


def _show_crashes(pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Say how many rows met a fault of this program, and show the first, so that somebody mends it."""
    names = [name for node in pipeline.nodes for name in node.outputs if name.endswith(("_dropped", "_rejected"))]
    loaded = {name: catalog.load(name) for name in names}
    tables = {name: table for name, table in loaded.items() if isinstance(table, Shards)}
    counts = Counter({name: sum(_crashed(table)) for name, table in tables.items()})
    if first := next((name for name in tables if counts[name]), None):
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


def funnel_table(funnel: pd.DataFrame, rows: str = "problems") -> Table:
    """The funnel for a screen of 80 columns or more; ways apart are told below their stage."""
    table = stage_rows(f"Funnel of {rows}: rows in = kept + dropped + failed")
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
