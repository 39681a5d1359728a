"""Answers: finding them in a reply."""

from omr_kedro.math.answers import parse_answer
from omr_kedro.math.boxes import extract_boxed

__all__ = ["extract_boxed", "parse_answer"]
