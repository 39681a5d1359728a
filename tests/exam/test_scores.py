"""Scores tell models apart: by class, with an interval, against one threshold."""

from __future__ import annotations

import random

import pytest
from pydantic import ValidationError

from omr_kedro.exam import ExamOptions, Interval, Mark, Verdict, report_row, score, verdict

ROWS = {"proof": 45, "not proof": 105}


def marks(rows: dict[str, int], right: dict[str, float], draw: random.Random) -> list[tuple[str, str]]:
    """Rows of each class, right with the probability that is given for it."""
    return [
        (name, Mark.RIGHT if draw.random() < right[name] else Mark.WRONG)
        for name, count in rows.items()
        for _ in range(count)
    ]


def judged(rows: list[tuple[str, str]]) -> Verdict:
    return verdict(score(rows).balanced, 0.85)


def test_a_perfect_model_is_fit() -> None:
    assert judged([(name, "right") for name, count in ROWS.items() for _ in range(count)]) == Verdict.FIT
    assert judged([("summary", "right")] * 60) == Verdict.FIT


@pytest.mark.parametrize("said", ROWS)
def test_one_that_always_says_the_same_is_unfit_whatever_the_classes_weigh(said: str) -> None:
    for rows in (ROWS, {"proof": 5, "not proof": 145}, {"proof": 140, "not proof": 10}):
        found = score(
            (name, "right" if name == said else "wrong") for name, count in rows.items() for _ in range(count)
        )
        assert found.balanced.share == 0.5
        assert verdict(found.balanced, 0.85) == Verdict.UNFIT


@pytest.mark.parametrize("rows", [{"one": 60}, {"one": 30, "other": 30}, ROWS])
def test_a_model_with_5_percent_errors_lies_in_its_interval_in_at_least_93_of_100_runs(rows: dict[str, int]) -> None:
    inside = 0
    for seed in range(100):
        found = score(marks(rows, dict.fromkeys(rows, 0.95), random.Random(seed))).balanced
        inside += found.low <= 0.95 <= found.high
    assert inside >= 93


def test_a_reply_that_cannot_be_read_is_not_right_and_is_counted() -> None:
    found = score([("same", "right"), ("same", "unparsed"), ("different", "wrong"), ("different", "right")])
    assert (found.rows, found.right, found.unparsed, found.accuracy) == (4, 2, 1, 0.5)
    assert found.by_class == {"different": (1, 2), "same": (1, 2)}


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0.85, 0.99, Verdict.FIT),
        (0.84, 0.99, Verdict.DOUBTFUL),
        (0.60, 0.85, Verdict.DOUBTFUL),
        (0.60, 0.84, Verdict.UNFIT),
    ],
)
def test_the_verdict_goes_by_the_interval(low: float, high: float, found: Verdict) -> None:
    assert verdict(Interval(0.8, low, high), 0.85) == found


def test_a_line_of_the_report_adds_up_what_the_calls_took() -> None:
    row = {
        "gold_class": "same", "mark": "right", "model": "m", "prompt_hash": "h", "calls": 2,
        "prompt_tokens": 1000, "completion_tokens": 50, "seconds": 0.5,
    }  # fmt: skip
    line = report_row("judge_answers", [row] * 60, 0.9, {"prompt": 1.0, "completion": 2.0})
    assert line | {"verdict": "fit", "rows": 60, "calls": 120, "seconds": 30.0, "by_class": "same 60/60"} == line
    assert (line["model"], line["prompt_hash"]) == ("m", "h")
    assert line["cost"] == pytest.approx((60_000 * 1 + 3_000 * 2) / 1e6)
    assert report_row("judge_answers", [row], 0.9, None)["cost"] is None


def test_a_requirement_of_a_stage_that_is_none_is_refused() -> None:
    assert ExamOptions(required_of={"classify_mcq": 0.5}).required_for("classify_mcq") == 0.5
    with pytest.raises(ValidationError, match="no stage is named classify_problems; known are extract_problems"):
        ExamOptions(required_of={"classify_problems": 0.5})
