"""Two exams over the same gold rows: what each had right, and whether the difference may be chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from omr_kedro.exam.intervals import Interval, mcnemar
from omr_kedro.exam.marks import Mark
from omr_kedro.exam.scores import score

Marks = Mapping[str, tuple[str, str]]
"""Gold class and mark of each row of a stage, by the row's id."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two exams of one stage, by the rows that both have."""

    stage: str
    rows: int
    first: Interval
    """Balanced accuracy of the first."""
    second: Interval
    only_first: Sequence[str]
    """Ids of the rows that the first has right and the second has not."""
    only_second: Sequence[str]

    @property
    def p(self) -> float:
        """Two-sided p value of the exact McNemar test: how probable so great a difference is by chance."""
        return mcnemar(len(self.only_first), len(self.only_second))


def compare(first: Mapping[str, Marks], second: Mapping[str, Marks]) -> list[Comparison]:
    """The stages that both exams have, in the order of the first.

    Args:
        first: marks by stage.
        second: the same of another model, prompt or environment.
    """
    return [_compare(stage, first[stage], second[stage]) for stage in first if stage in second]


def _compare(stage: str, first: Marks, second: Marks) -> Comparison:
    both = sorted(first.keys() & second.keys())
    right = [{row for row in both if marks[row][1] == Mark.RIGHT} for marks in (first, second)]
    return Comparison(
        stage=stage,
        rows=len(both),
        first=_balanced(first, both),
        second=_balanced(second, both),
        only_first=sorted(right[0] - right[1]),
        only_second=sorted(right[1] - right[0]),
    )


def _balanced(marks: Marks, rows: Iterable[str]) -> Interval:
    return score(marks[row] for row in rows).balanced
