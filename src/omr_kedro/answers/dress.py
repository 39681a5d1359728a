"""Answers as texts without their dress: delimiters, fonts, sizes, spacing, boxes, final punctuation."""

from __future__ import annotations

import re

from omr_kedro.answers.latex import plain_latex
from omr_kedro.answers.lexer import GREEK
from omr_kedro.answers.readings import MAX_CHARS
from omr_kedro.answers.words import phrase

_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_ANSWERS = GREEK | {"infty", "emptyset", "ell"}
"""Commands that may be an answer by themselves; others need something inside or beside them."""
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_WORDS = re.compile(r"\\text\{([^{}]*)\}")
_NEEDLESS_BLANK = re.compile(r"(?<![\w.,]) | (?![\w.,])")


def same_text(left: str, right: str) -> bool:
    r"""Whether both read the same: `$\dfrac12$` and `\frac12`. Longer texts than short answers must be the same."""
    return left == right or (
        max(len(left), len(right)) <= MAX_CHARS and _undressed(left) == _undressed(right) and has_answer(left)
    )


def has_answer(text: str) -> bool:
    """Whether there is anything that another answer could equal: a number, a name, a word, a sign of its own."""
    plain = _undressed(text[:MAX_CHARS])
    if phrase(plain) is not None:
        return True
    words = _COMMAND.sub(lambda command: " x " if command[1] in _ANSWERS else " ", plain)
    return _LETTER_OR_DIGIT.search(words) is not None


def _undressed(text: str) -> str:
    return _NEEDLESS_BLANK.sub("", _WORDS.sub(r" \1 ", plain_latex(text))).strip()
