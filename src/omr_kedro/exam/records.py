"""Records of exams: one for each stage, model and prompt, so that an earlier exam is known when the model is back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from omr_kedro.exam.marks import Mark
from omr_kedro.exam.scores import Verdict
from omr_kedro.shards import content_id


class ExamRecord(BaseModel):
    """The exam of one stage's model with one prompt."""

    model_config = ConfigDict(frozen=True)

    stage: str
    model: str
    prompt_hash: str
    verdict: Verdict
    balanced_accuracy: float
    low: float
    high: float
    rows: int
    marks: dict[str, tuple[str, Mark]]
    """Gold class and mark of each row, by its id."""

    @property
    def name(self) -> str:
        """The name of its file; a later exam of the same stage, model and prompt takes its place."""
        return f"{self.stage}-{content_id(self.model, self.prompt_hash)}"


def record_of(line: Mapping[Any, Any], marks: Iterable[Mapping[str, Any]]) -> ExamRecord:
    """The record of one line of the report.

    Args:
        line: see `report_row`.
        marks: rows of `tables.EXAM_MARKS`, of all stages.
    """
    own = {row["row_id"]: (row["gold_class"], row["mark"]) for row in marks if row["stage"] == line["stage"]}
    return ExamRecord.model_validate({**line, "marks": own})


def read_records(values: Iterable[Any]) -> list[ExamRecord]:
    """The records among values of JSON; others, as of an earlier form, are passed over."""
    found = []
    for value in values:
        with suppress(ValidationError):
            found.append(ExamRecord.model_validate(value))
    return found
