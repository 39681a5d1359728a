r"""Boxed results in LaTeX: `\boxed{…}` and `\fbox{…}`."""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*+\{)|\\.|(?P<open>\{)|(?P<close>\})", re.DOTALL)


class Box(NamedTuple):
    """Where a complete box stands in a text."""

    start: int
    """Offset of its backslash."""
    inside: int
    """Offset of the first character inside."""
    end: int
    """Offset of its closing brace."""


def find_boxes(text: str) -> list[Box]:
    """All boxes whose braces match, in the order in which they open; escaped braces are not braces."""
    unclosed: list[tuple[int, int] | None] = []
    boxes = []
    for token in _TOKEN.finditer(text):
        if token["box"]:
            unclosed.append(token.span())
        elif token["open"]:
            unclosed.append(None)
        elif token["close"] and unclosed and (opened := unclosed.pop()):
            boxes.append(Box(*opened, token.start()))
    return sorted(boxes)


def extract_boxed(text: str) -> str | None:
    r"""The inside of the last complete box, or None when there is no complete box.

    Of nested boxes the innermost opens last. A box that is cut off at the end of the text hides no earlier one.
    """
    boxes = find_boxes(text)
    return text[boxes[-1].inside : boxes[-1].end].strip() if boxes else None


def final_box(text: str) -> str | None:
    """The inside of the box that opens last; None when there is no box, or when that one is never closed."""
    opened = max((token.start() for token in _TOKEN.finditer(text) if token["box"]), default=-1)
    boxes = find_boxes(text)
    return text[boxes[-1].inside : boxes[-1].end].strip() if boxes and boxes[-1].start == opened else None


def sole_box(text: str) -> str | None:
    """The inside of the only box; None when there is no box, or several side by side."""
    boxes = find_boxes(text)
    if not boxes or boxes[0].end != max(box.end for box in boxes):
        return None
    return text[boxes[0].inside : boxes[0].end].strip()


def without_boxes(text: str) -> str:
    """The text with the content of each box in the box's place."""
    kept, position = [], 0
    for start, end in sorted(
        cut for box in find_boxes(text) for cut in ((box.start, box.inside), (box.end, box.end + 1))
    ):
        kept.append(text[position:start])
        position = end
    return "".join([*kept, text[position:]])
