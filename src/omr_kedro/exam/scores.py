"""The score of a stage: how often it is right, by class, with its interval; and the verdict on it.

The score is the balanced accuracy: the mean over the gold classes of the share that is right. Rows without a readable
outcome are not right. A model that says one thing to everything has one class right, and so a score of one half or
less, however many rows that class has.

The verdict goes by the 95 % interval around the score, and by one threshold, the score that is required:

- **fit**: the whole interval is at or above it;
- **unfit**: the whole interval is below it;
- **doubtful**: it lies within; the gold rows are too few, or the model too close, to tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from omr_kedro.exam.intervals import Interval, balanced
from omr_kedro.exam.marks import Mark
from omr_kedro.llm.calls.prices import Price


class Verdict(StrEnum):
    """Verdicts on the model of a stage."""

    FIT = "fit"
    DOUBTFUL = "doubtful"
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of marks, and the shares that follow."""

    rows: int
    right: int
    unparsed: int
    balanced: Interval
    """Balanced accuracy."""
    by_class: Mapping[str, tuple[int, int]]
    """Rows that are right, and all rows, of each gold class, by name."""

    @property
    def accuracy(self) -> float:
        """Share of all rows that is right."""
        return self.right / self.rows if self.rows else 0.0


def score(marks: Iterable[tuple[str, str]]) -> Score:
    """The score of rows.

    Args:
        marks: gold class and mark of each row.
    """
    counts = Counter((gold_class, Mark(mark)) for gold_class, mark in marks)
    rows: Counter[str] = Counter()
    for (gold_class, _), count in counts.items():
        rows[gold_class] += count
    by_class = {name: (counts[name, Mark.RIGHT], rows[name]) for name in sorted(rows)}
    return Score(
        rows=rows.total(),
        right=sum(right for right, _ in by_class.values()),
        unparsed=sum(counts[name, Mark.UNPARSED] for name in rows),
        balanced=balanced(list(by_class.values())),
        by_class=by_class,
    )


def verdict(found: Interval, required: float) -> Verdict:
    """The verdict on a score; see the module."""
    if found.low >= required:
        return Verdict.FIT
    return Verdict.UNFIT if found.high < required else Verdict.DOUBTFUL


def report_row(
    stage: str, rows: Iterable[Mapping[str, Any]], required: float, price: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The row of the report on one stage.

    Args:
        stage: its name.
        rows: its rows of `tables.EXAM_MARKS`.
        required: score that is required.
        price: of its model, as the section `prices` has it.
    """
    rows = list(rows)
    found = score((row["gold_class"], row["mark"]) for row in rows)
    tokens = {name: sum(row[name] for row in rows) for name in ("prompt_tokens", "completion_tokens")}
    return {
        "stage": stage,
        "verdict": str(verdict(found.balanced, required)),
        "model": _only(row["model"] for row in rows),
        "prompt_hash": _only(row["prompt_hash"] for row in rows),
        "rows": found.rows,
        "accuracy": round(found.accuracy, 4),
        "balanced_accuracy": round(found.balanced.share, 4),
        "low": round(found.balanced.low, 4),
        "high": round(found.balanced.high, 4),
        "required": required,
        "unparsed": found.unparsed,
        "by_class": ", ".join(f"{name} {right}/{total}" for name, (right, total) in found.by_class.items()),
        "calls": sum(row["calls"] for row in rows),
        **tokens,
        "seconds": round(sum(row["seconds"] for row in rows), 3),
        "cost": Price.model_validate(price or {}).of(*tokens.values()),
    }


def in_words(line: Mapping[str, Any]) -> str:
    """A row of the report as a sentence without its subject and its end."""
    return (
        f"right about {line['by_class']}, {line['unparsed']} unclear: balanced accuracy {score_in_words(line)}, "
        f"{100 * line['required']:.0f} % is required"
    )


def score_in_words(line: Mapping[Any, Any]) -> str:
    """The balanced accuracy of a row of the report, with its 95 % interval."""
    score, low, high = (100 * line[name] for name in ("balanced_accuracy", "low", "high"))
    return f"{score:.0f} % ({low:.0f}-{high:.0f})"


def _only(values: Iterable[str | None]) -> str:
    """The value that all rows have; those that were asked by several names are named together."""
    return ", ".join(dict.fromkeys(value for value in values if value))
