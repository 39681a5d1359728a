from __future__ import annotations

import pytest

from omr_kedro.exam import Mark, Verdict
from omr_kedro.exam.records import ExamRecord, read_records, record_of
from omr_kedro.lineage.exams import NoSuchExamError, marks_of


def record(model: str, prompt_hash: str, stage: str = "convert_proofs", right: bool = True) -> ExamRecord:
    mark = Mark.RIGHT if right else Mark.WRONG
    return ExamRecord(
        stage=stage, model=model, prompt_hash=prompt_hash, verdict=Verdict.FIT, balanced_accuracy=1, low=1, high=1,
        rows=1, marks={f"{model} {prompt_hash}": ("one", mark)},
    )  # fmt: skip


RECORDS = [
    record("a", "11aa22"),
    record("a", "33bb44"),
    record("b", "33bb44"),
    record("b/c", "11aa22", "decontaminate"),
]


@pytest.mark.parametrize(
    ("name", "current", "found"),
    [
        ("b", [], {"convert_proofs": "b 33bb44"}),
        ("a", ["33bb44"], {"convert_proofs": "a 33bb44"}),
        ("a@11aa", [], {"convert_proofs": "a 11aa22"}),
        ("b/c", [], {"decontaminate": "b/c 11aa22"}),
        ("11aa", [], {"convert_proofs": "a 11aa22", "decontaminate": "b/c 11aa22"}),
    ],
)
def test_an_exam_is_named_by_its_model_or_its_prompt(name: str, current: list[str], found: dict[str, str]) -> None:
    assert {stage: next(iter(marks)) for stage, marks in marks_of(name, RECORDS, current).items()} == found


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a", r"several exams of convert_proofs; name one of a@11aa22, a@33bb44"),
        ("c\x1b", r"named c\\x1b\. There are a@11aa22"),
        ("11a", "There are"),
    ],
)
def test_a_name_that_fits_none_or_several_is_answered_with_those_that_there_are(name: str, told: str) -> None:
    with pytest.raises(NoSuchExamError, match=told):
        marks_of(name, RECORDS, [])


def test_without_any_exam_the_command_that_makes_one_is_named() -> None:
    with pytest.raises(NoSuchExamError, match="kedro run --pipelines exam"):
        marks_of("a", [], [])


def test_a_record_is_written_and_read_and_others_are_passed_over() -> None:
    line = {
        "stage": "convert_proofs", "model": "a", "prompt_hash": "h", "verdict": "unfit", "balanced_accuracy": 0.5,
        "low": 0.4, "high": 0.6, "rows": 1, "cost": None,
    }  # fmt: skip
    mark = {"stage": "convert_proofs", "row_id": "r", "gold_class": "one", "mark": "wrong"}
    one = record_of(line, [mark, {**mark, "stage": "decontaminate"}])
    assert one.marks == {"r": ("one", Mark.WRONG)}
    assert read_records([one.model_dump(mode="json"), {"stage": 5}, None]) == [one]
    assert record_of({**line, "model": "b"}, []).name != one.name
