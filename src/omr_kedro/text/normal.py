"""Statements without what does not change their meaning: case, spacing, and the dress of formulas."""

from __future__ import annotations

import re
import unicodedata

_TOKEN = re.compile(r"\\[a-z]+|\\[()\[\]]|\d+(?:\.\d+)?|[^\W\d_]+|[^\s\w]|_")
# Delimiters and spacing of formulas, and marks of emphasis.
_DELIMITERS = ("$", "*", "\\", r"\(", r"\)", r"\[", r"\]")
_DRESS = {*_DELIMITERS, r"\left", r"\right", r"\displaystyle", r"\quad", r"\qquad", r"\text", r"\mathrm"}
_SPELLINGS = {"\\leq": "\\le", "\\geq": "\\ge", "\\dfrac": "\\frac", "\\tfrac": "\\frac", "\\cdots": "\\ldots"}
_TEX_SPACES = re.compile(r"\\[,;:! ]|~|&nbsp;")


def math_tokens(text: str) -> list[str]:
    """Words, numbers, commands and signs, in order and in lower case."""
    plain = _TEX_SPACES.sub(" ", unicodedata.normalize("NFKC", text).lower())
    return [_SPELLINGS.get(token, token) for token in _TOKEN.findall(plain) if token not in _DRESS]


def normal_form(text: str) -> str:
    """Equal for statements that differ in dress alone; closing punctuation is dress."""
    return " ".join(math_tokens(text)).rstrip(" .?!")
