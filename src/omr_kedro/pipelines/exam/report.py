"""The report of an exam: all marks, those that are not right, and scores with verdicts by stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pandas as pd

from omr_kedro.exam import ExamOptions, Mark, report_row
from omr_kedro.exam.records import record_of
from omr_kedro.shards import MappedShards, Row, Shard, Shards, SplitShards, map_shards, shard_names, split_stream

_MODELS = {
    "judge_answers": "judge_model",
    "summarise_solutions": "summary_model",
    "select_solutions": "genselect_model",
}


def model_of(stage: str) -> str:
    """The model that a stage asks, by its name in the catalog."""
    return _MODELS.get(stage, "problem_model")


def gather_marks(**marks: Shards) -> SplitShards:
    """The marks of all stages in one table."""
    (shard,) = shard_names(1)
    digests = [each.digest for table in marks.values() for each in table.values()]
    return split_stream(lambda: ((shard, row) for table in marks.values() for row in table.rows()), 1, digests)


def list_wrong(marks: Shards) -> MappedShards:
    """The rows that are not right, with the replies."""

    def wrong(marks: Shard) -> Iterator[Row]:
        return (row for row in marks.rows() if row["mark"] != Mark.RIGHT)

    return map_shards(wrong, marks)


def report_exam(marks: Shards, exam: ExamOptions, prices: dict[str, Any]) -> pd.DataFrame:
    """A row for each stage: its score with the 95 % interval, what it took, and the verdict (`exam.report_row`)."""
    stages: dict[str, list[Row]] = defaultdict(list)
    for row in marks.rows():
        stages[row["stage"]].append(row)
    return pd.DataFrame(
        report_row(stage, rows, exam.required_for(stage), prices.get(model_of(stage))) for stage, rows in stages.items()
    )


def record_exam(marks: Shards, report: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """A record of each stage's exam, by model and prompt; records of other models and prompts stay."""
    records = [record_of(line, list(marks.rows())) for line in report.to_dict("records")]
    return {record.name: record.model_dump(mode="json") for record in records}
