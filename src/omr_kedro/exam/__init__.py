"""Exams of models: marks of what they answer about gold rows, scores, verdicts, and comparisons of two."""

from omr_kedro.exam.comparison import Comparison, Marks, compare
from omr_kedro.exam.intervals import Interval, balanced, mcnemar, wilson
from omr_kedro.exam.marks import Mark, Marked
from omr_kedro.exam.options import ExamOptions
from omr_kedro.exam.scores import Score, Verdict, in_words, report_row, score, verdict

__all__ = [
    "Comparison",
    "ExamOptions",
    "Interval",
    "Mark",
    "Marked",
    "Marks",
    "Score",
    "Verdict",
    "balanced",
    "compare",
    "in_words",
    "mcnemar",
    "report_row",
    "score",
    "verdict",
    "wilson",
]
