"""Answers: finding them in a reply, telling whether two are equal."""

from omr_kedro.math.answers import parse_answer
from omr_kedro.math.assessment import Assessment, Case, Finding, assess
from omr_kedro.math.boxes import extract_boxed
from omr_kedro.math.grading import Verdict, grade, grade_cheaply
from omr_kedro.math.stated import poses_several
from omr_kedro.math.workers import Limits, MathWorkerError, Workers

__all__ = [
    "Assessment",
    "Case",
    "Finding",
    "Limits",
    "MathWorkerError",
    "Verdict",
    "Workers",
    "assess",
    "extract_boxed",
    "grade",
    "grade_cheaply",
    "parse_answer",
    "poses_several",
]
