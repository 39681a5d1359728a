"""Statements without what does not change their meaning: case, spacing, and the dress of formulas."""

from __future__ import annotations

import re

from omr_kedro.text.old_macros import without_old_macros
from omr_kedro.text.unicode import normalized

_TOKEN = re.compile(r"\\[a-z]+|\\[()\[\]]|\d+(?:\.\d+)?|[^\W\d_]+|[^\s\w]|_")
# Delimiters and spacing of formulas, and marks of emphasis.
_DELIMITERS = ("$", "*", "\\", r"\(", r"\)", r"\[", r"\]")
_DRESS = {*_DELIMITERS, r"\left", r"\right", r"\displaystyle", r"\quad", r"\qquad", r"\text", r"\mathrm"}
_SPELLINGS = {"\\leq": "\\le", "\\geq": "\\ge", "\\dfrac": "\\frac", "\\tfrac": "\\frac", "\\cdots": "\\ldots"}
_OPERAND = re.compile(r"\d.*|[^\W\d_]|\\[a-z]+|[)}\]]")
_TEX_SPACES = re.compile(r"\\[,;:! ]|~|&nbsp;")


def math_tokens(text: str) -> list[str]:
    """Words, numbers, commands and signs, in order and in lower case."""
    plain = _TEX_SPACES.sub(" ", without_old_macros(normalized(text, "NFKC")).lower())
    return [_SPELLINGS.get(token, token) for token in _TOKEN.findall(plain) if token not in _DRESS]


def normal_form(text: str) -> str:
    """Equal for statements that differ in dress alone; closing punctuation is dress, but no factorial is."""
    tokens = math_tokens(text)
    while tokens and (tokens[-1] in ".?" or (tokens[-1] == "!" and not (len(tokens) > 1 and is_operand(tokens[-2])))):
        tokens.pop()
    return " ".join(tokens)


def is_operand(token: str) -> bool:
    """Whether `!` or `'` behind this token is mathematics: it is a number, a variable, a command or a bracket."""
    return _OPERAND.fullmatch(token) is not None
