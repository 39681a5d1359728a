"""Ways to solve a problem."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """Way in which a sample was made, as `inference_mode` of the published dataset has it."""

    COT = "cot"
    """A chain of thought, in text alone."""
    TIR = "tir"
    """Tool-integrated reasoning: text between pieces of code that a sandbox runs."""
