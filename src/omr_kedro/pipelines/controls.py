"""Controls: pairs whose verdict is known, mixed into the work of a judge, so that its error is known before it counts.

A judge is asked about them as about its own rows: same prompt, model, sampling, orders and reading, in the same job.
They are gold rows of the exam (`data/01_raw/exam/`) and rows of no funnel. The table of their marks is finished only if
the judge passes, and whatever goes by its verdicts reads that table first.

A judge is stopped when the whole 95 % interval around its balanced accuracy lies below the threshold, so that bad luck
with few controls stops no good one. One that says the same to everything, or goes by the order, has a balanced accuracy
of one half at most; options with which such a judge could pass are refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from math import ceil
from typing import Any

import orjson
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from omr_kedro.exam import Mark, Verdict, balanced, in_words, report_row
from omr_kedro.exam.options import Share
from omr_kedro.exam.reading import gold_rows
from omr_kedro.llm.calls import CallPlan
from omr_kedro.pipelines.llm_stage import CallOptions
from omr_kedro.pipelines.marked_rows import Read, mark_rows
from omr_kedro.shards import (
    BadInputError,
    MappedShards,
    OmrError,
    Row,
    Shards,
    Source,
    SplitShards,
    content_id,
    printable_name,
    shard_of,
    split_stream,
)
from omr_kedro.shards.identity import fingerprint

ORDERS = 2
"""Calls about each control."""
_SHOWN_ROWS = 5


class UnfitJudgeError(OmrError):
    """A judge is wrong about too many controls for its verdicts to count."""


class ControlOptions(BaseModel):
    """How many controls a judge gets, and what is required of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: Share = 0.05
    """Controls for each row that the judge is asked about; 0 for none."""
    at_least: int = Field(default=30, ge=2)
    """Controls of a judge that is asked about anything."""
    at_most: int = Field(default=150, ge=2)
    threshold: Share = 0.8
    """Balanced accuracy that is required; 0 lets every judge pass."""
    seed: int = 0
    """Decides which gold rows are taken."""

    @model_validator(mode="after")
    def _tells_judges_apart(self) -> ControlOptions:
        if self.at_most < self.at_least:
            raise ValueError(f"at_most ({self.at_most}) is below at_least ({self.at_least})")
        half = ceil(self.at_least / 2)
        if self.threshold and balanced([(half, half), (0, half)]).high >= self.threshold:
            raise ValueError(
                f"with at_least {self.at_least} and threshold {self.threshold:g} a judge that says the same to "
                "everything could pass: raise one of them (or let all pass, with threshold 0)"
            )
        return self

    def number(self, rows: int) -> int:
        """Controls of a judge that is asked about so many rows."""
        return min(self.at_most, max(self.at_least, ceil(self.share * rows))) if rows and self.share else 0

    @property
    def enough(self) -> int:
        """Rows from which on there are no more controls."""
        return ceil(self.at_most / self.share) if self.share else 0


class JudgeOptions(CallOptions):
    """How a judge is sampled, and its controls."""

    controls: ControlOptions = ControlOptions()


def draw_controls(
    rows: Shards, gold: Source, options: JudgeOptions, *, needs_judge: Callable[[Row], bool]
) -> SplitShards:
    """Gold rows for the controls of a judge (`tables.EXAM_ROWS`), as many of either class, spread over all shards.

    Which ones, and in which shards, follows from their ids and the seed. More rows to judge add controls, and change
    none of those that there were.

    Args:
        rows: the judge is asked about some of these.
        gold: gold rows with the field `same`.
        options: how many are drawn.
        needs_judge: whether the judge is asked about a row.
    """
    controls = options.controls
    shards = int(next(iter(rows)).rpartition("-of-")[2])

    def drawn() -> Iterator[tuple[str, Row]]:
        asked = sum(1 for _ in islice(filter(needs_judge, rows.rows()), controls.enough))
        for place, row in _chosen(gold, controls.number(asked), controls.seed):
            yield shard_of(place, shards), row

    digests = [shard.digest for shard in rows.values()]
    return split_stream(drawn, shards, [gold.digest(), controls.model_dump(exclude={"threshold"}), digests])


def _chosen(gold: Source, number: int, seed: int) -> Iterator[tuple[str, Row]]:
    """Half of the number of either class, each with its place in a shuffle.

    Raises:
        BadInputError: there are too few of a class.
    """
    classes: dict[bool, list[tuple[str, Row]]] = defaultdict(list)
    for row in gold_rows(gold) if number else ():
        classes[bool(orjson.loads(row["gold"])["same"])].append((content_id(str(seed), row["row_id"]), row))
    half = ceil(number / 2)
    for same in (True, False):
        if len(classes[same]) < half:
            raise BadInputError(
                f"{printable_name(gold.path)} has {len(classes[same])} rows with `same: {str(same).lower()}`, and the "
                f"judge is to get {half} of them: add rows, or lower `controls.at_least` and `controls.at_most`."
            )
        yield from sorted(classes[same], key=lambda found: found[0])[:half]


def with_controls(plan: CallPlan, controls: CallPlan) -> CallPlan:
    """The calls of a judge, with those about its controls behind them in each shard.

    A shard without controls is as it would be if there were none anywhere.
    """
    numbers, made_by = controls.expected, controls.fingerprints
    return replace(
        plan,
        asks=lambda shard: chain(plan.asks(shard), controls.asks(shard)),
        expected={shard: number + numbers[shard] for shard, number in plan.expected.items()},
        fingerprints={
            shard: fingerprint(own, made_by[shard]) if numbers[shard] else own
            for shard, own in plan.fingerprints.items()
        },
    )


def mark_controls(
    control_rows: Shards, completions: Shards, options: JudgeOptions, *, stage: str, read: Read
) -> MappedShards:
    """The marks of a judge's controls (`tables.EXAM_MARKS`), a table that is finished only if the judge passes.

    Args:
        control_rows: the controls.
        completions: calls of the judge.
        options: what is required.
        stage: of the judge.
        read: the mark of one control.
    """
    threshold = options.controls.threshold
    marks = mark_rows(stage, read, control_rows, completions, threshold)
    return replace(marks, check=partial(check_judge, stage, threshold))


def check_judge(stage: str, threshold: float, marks: Iterable[Row]) -> None:
    """Stop a judge that is unfit.

    Args:
        stage: of the judge.
        threshold: balanced accuracy that is required.
        marks: of its controls.

    Raises:
        UnfitJudgeError: says how often and where it is wrong, and what a person can do.
    """
    rows = list(marks)
    line = report_row(stage, rows, threshold, None)
    if rows and line["verdict"] == Verdict.UNFIT:
        raise UnfitJudgeError(_told(line, [row for row in rows if row["mark"] != Mark.RIGHT]))


def report_controls(
    controls: Shards, options: JudgeOptions, prices: dict[str, Any], *, stage: str, model: str
) -> pd.DataFrame:
    """A row on the judge of a stage, with the columns of an exam's report (`exam.report_row`)."""
    return pd.DataFrame([report_row(stage, controls.rows(), options.controls.threshold, prices.get(model))])


def _told(line: Row, wrong: Sequence[Row]) -> str:
    stage = line["stage"]
    section = f"{stage}.controls"
    return (
        f"{stage}: the judge {printable_name(line['model'])} is wrong about too many pairs whose verdict is known, and "
        f"so it has removed and kept nothing. It is {in_words(line)} ({section}.threshold). Wrong are {len(wrong)}, "
        f"the first: {'; '.join(map(_wrong, wrong[:_SHOWN_ROWS]))}. All of them, with the replies: {stage}_controls. "
        "Take another model or mend the prompt; the same command then asks what is new, and no more. "
        "`kedro run --pipelines exam` tells beforehand. To go on with this judge all the same: "
        f"--params={section}.threshold=0"
    )


def _wrong(row: Row) -> str:
    return f"{printable_name(row['row_id'])} is {row['gold']}, it said {printable_name(row['said'] or 'nothing')}"
