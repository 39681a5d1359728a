"""Answers: finding them in a reply, telling whether two are equal."""

from omr_kedro.answers.assessment import Assessment, Case, Finding, assess
from omr_kedro.answers.doubt import surely_differ, surely_equal
from omr_kedro.answers.dress import has_answer, same_text
from omr_kedro.answers.grading import Verdict, grade, grade_cheaply
from omr_kedro.answers.grading_workers import GradingWorkerError, Limits, Workers
from omr_kedro.answers.stated import poses_several
from omr_kedro.text.boxes import extract_boxed
from omr_kedro.text.final_answer import parse_answer

__all__ = [
    "Assessment",
    "Case",
    "Finding",
    "GradingWorkerError",
    "Limits",
    "Verdict",
    "Workers",
    "assess",
    "extract_boxed",
    "grade",
    "grade_cheaply",
    "has_answer",
    "parse_answer",
    "poses_several",
    "same_text",
    "surely_differ",
    "surely_equal",
]
