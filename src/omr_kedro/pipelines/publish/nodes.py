"""Every config of the published dataset, and the check that its counts are those of the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial, wraps
from inspect import signature
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from omr_kedro import tables
from omr_kedro.pipelines.solve_tir.conversation import PYTHON_TOOL
from omr_kedro.publishing.licences import UNKNOWN, Licences
from omr_kedro.publishing.publication import Publication, Published, publication
from omr_kedro.publishing.rows import (
    OF_PROBLEMS,
    SELECTION_PROMPT,
    SOLVED,
    Usefulness,
    additional_rows,
    cot_rows,
    problem_rows,
    rejected_rows,
    selection_rows,
    tir_rows,
)
from omr_kedro.publishing.views import SFT
from omr_kedro.shards import OmrError, Shards

COT, TIR, GENSELECT = "cot", "tir", "genselect"
PYTHON = orjson.dumps([PYTHON_TOOL]).decode()
"""Tools that the model could call in solutions with code, as JSON."""


class PublishedCountsError(OmrError):
    """The published dataset holds other rows than the tables it is made of."""


class PublishOptions(BaseModel):
    """Facts that go with every published row."""

    model_config = ConfigDict(extra="forbid")

    license: str = UNKNOWN
    """Of rows whose source has no other; named as the Hub does."""
    licenses: dict[str, str] = {}
    """By `problem_source`."""
    selection_prompt: str = SELECTION_PROMPT
    """User message of comparisons, with `{problem}` and `{candidates}`."""

    @property
    def licences(self) -> Licences:
        """The licence of each row."""
        return Licences(self.license, self.licenses)

    @property
    def by(self) -> dict[str, Any]:
        """The options as a fingerprint holds them."""
        return self.model_dump(mode="json")


def publish_cot(solutions: Shards, summaries: Shards, options: PublishOptions) -> Publication:
    """The config `cot`."""
    rows = partial(cot_rows, solutions, summaries, options.licences)
    return publication(tables.PUBLISHED_SOLUTIONS, rows, [solutions, summaries], options.by)


def publish_tir(
    solutions: Shards, useful: Shards, unfragmented: Shards, others: Shards, options: PublishOptions
) -> Publication:
    """The config `tir`.

    Args:
        solutions: right solutions with code.
        useful: those whose code was of use.
        unfragmented: those that no judge was asked about.
        others: those that a judge was asked about, and did not find useful.
        options: what goes with every row.
    """
    usefulness = Usefulness(useful, (unfragmented, others))
    rows = partial(tir_rows, solutions, usefulness, options.licences, PYTHON)
    return publication(tables.PUBLISHED_SOLUTIONS, rows, [solutions, useful, unfragmented, others], options.by)


def publish_rejected(modes: Sequence[str], options: PublishOptions, *rejected: Shards) -> Publication:
    """The config `rejected`.

    Args:
        modes: of the tables of samples that are no solution.
        options: what goes with every row.
        rejected: these tables.
    """
    rows = partial(
        rejected_rows, [(table, PYTHON if mode == TIR else None) for mode, table in zip(modes, rejected, strict=True)]
    )
    return publication(
        tables.PUBLISHED_REJECTED, partial(rows, options.licences), rejected, options.by,
        why_empty="every sample is a solution",
    )  # fmt: skip


def publish_genselect(
    selections: Shards, summaries: Shards, problems: Published, options: PublishOptions
) -> Publication:
    """The config `genselect`."""

    def rows() -> Iterator[pa.RecordBatch]:
        known = problems.batches(OF_PROBLEMS)
        return selection_rows(selections, summaries, known, options.licences, options.selection_prompt)

    inputs: list[Shards | Published] = [selections, summaries, problems]
    return publication(tables.PUBLISHED_SELECTIONS, rows, inputs, options.by, why_empty="no comparison chose right")


def publish_problems(
    problems: Shards, references: Shards, options: PublishOptions, *solutions: Published
) -> Publication:
    """The config `problems`."""
    rows = _problem_rows(problems, references, options, solutions)
    return publication(tables.PUBLISHED_PROBLEMS, rows, [problems, references, *solutions], options.by)


def publish_additional_problems(
    problems: Shards, references: Shards, options: PublishOptions, *solutions: Published
) -> Publication:
    """The config `additional_problems`: those without a published solution."""
    rows = _problem_rows(problems, references, options, solutions)
    return publication(
        tables.PUBLISHED_PROBLEMS,
        lambda: additional_rows(rows()),
        [problems, references, *solutions],
        options.by,
        why_empty="every problem has a solution",
    )


def _problem_rows(
    problems: Shards, references: Shards, options: PublishOptions, solutions: Sequence[Published]
) -> Callable[[], Iterator[pa.RecordBatch]]:
    def rows() -> Iterator[pa.RecordBatch]:
        solved = (batch for table in solutions for batch in table.batches(SOLVED))
        return problem_rows(problems, references, solved, options.licences)

    return rows


# ---- counts


def count_published(**published: Published) -> pd.DataFrame:
    """A line for each config.

    Args:
        published: the configs, by the names of their datasets.

    Returns:
        Columns `config`, `split`, `rows`, `files`, `bytes`, `empty`: of a config without rows the reason.
    """
    return pd.DataFrame(
        [
            {
                "config": each.config,
                "split": each.split,
                "rows": each.rows,
                "files": len(each.files),
                "bytes": each.bytes,
                "empty": each.why_empty,
            }
            for each in (config.manifest for config in published.values())
        ]
    )


def check_published(
    counts: pd.DataFrame,
    funnel: pd.DataFrame,
    problems: Shards,
    selection: Shards,
    comparisons_funnel: pd.DataFrame | None = None,
    right_selections: Shards | None = None,
    **tables: Shards,
) -> None:
    """Fail the run when a config holds other rows than its tables, or these other rows than the funnel.

    Args:
        counts: of the configs.
        funnel: of solutions.
        problems: the clean problems.
        selection: which solutions are trained on.
        comparisons_funnel: of comparisons, where they are published.
        right_selections: the same, those that chose right.
        tables: solutions and rejected samples of each mode, as `<mode>_solutions` and `<mode>_rejected`.

    Raises:
        PublishedCountsError: names each count that differs, with both numbers.
    """
    rows = dict(zip(counts["config"], counts["rows"], strict=True))
    pairs = [
        *(
            (f"config {name.removesuffix('_solutions')}", rows[name.removesuffix("_solutions")], name, table.count)
            for name, table in tables.items()
            if name.endswith("_solutions")
        ),
        *_rejected_pair(rows, tables),
        ("config problems", rows["problems"], "problems", problems.count),
        *_view_pairs(rows, selection),
        *_funnel_pairs(funnel, problems, tables),
        *_comparison_pairs(rows, comparisons_funnel, right_selections),
    ]
    if wrong := [f"{one}: {here:,} rows; {other}: {there:,}" for one, here, other, there in pairs if here != there]:
        raise PublishedCountsError(
            "The published dataset does not reconcile:\n"
            + "\n".join(wrong)
            + "\nIf single pipelines were run since the last whole one, run `kedro run` again; else this is a defect "
            "of omr_kedro or of a file edited by hand."
        )


_Pair = tuple[str, int, str, int]


def _view_pairs(rows: Mapping[str, int], selection: Shards) -> Iterator[_Pair]:
    """Counts of views of solutions, but for those without rows, which say why."""
    kept = sum(outcome == "kept" for shard in selection.values() for outcome in shard.column("outcome"))
    return ((f"config {view}", rows[view], "kept by sft_selection", kept) for view in SFT if rows.get(view))


def _rejected_pair(rows: Mapping[str, int], tables: Mapping[str, Shards]) -> list[_Pair]:
    rejected = [name for name in tables if name.endswith("_rejected")]
    count = sum(tables[name].count for name in rejected)
    return [("config rejected", rows["rejected"], " and ".join(rejected), count)]


def _funnel_pairs(funnel: pd.DataFrame, problems: Shards, tables: Mapping[str, Shards]) -> Iterable[_Pair]:
    """Counts of the funnel of solutions with those of the tables that the stages have written."""
    stages = {row["stage"]: row for row in funnel.to_dict("records")}
    if split := stages.get("split_problems"):
        yield "funnel split_problems, rows in", split["rows_in"], "problems", problems.count
    for name, table in tables.items():
        mode, _, kind = name.partition("_")
        columns = ["kept"] if kind == "solutions" else ["dropped", "failed"]
        if table.count or f"settle_{mode}" in stages:
            counted = stages.get(f"settle_{mode}", dict.fromkeys(columns, 0))
            told = sum(counted[column] for column in columns)
            yield f"funnel settle_{mode}, {' and '.join(columns)}", told, name, table.count


def _comparison_pairs(rows: Mapping[str, int], funnel: pd.DataFrame | None, right: Shards | None) -> Iterable[_Pair]:
    if funnel is None or right is None:
        return
    yield f"config {GENSELECT}", rows[GENSELECT], "right_selections", right.count
    kept = sum(row["kept"] for row in funnel.to_dict("records") if row["stage"] == "select_solutions")
    yield "funnel select_solutions, kept", kept, "right_selections", right.count


def given(function: Callable[..., Any], *first: Any) -> Callable[..., Any]:
    """A node's function whose first arguments are given, under its own name for Kedro-Viz.

    Its signature is that of the others: Kedro reads from it of which type a node's parameters are.
    """

    @wraps(function)
    def named(*inputs: Any) -> Any:
        return function(*first, *inputs)

    whole = signature(function, eval_str=True)
    named.__signature__ = whole.replace(parameters=list(whole.parameters.values())[len(first) :])  # type: ignore[attr-defined]
    return named
