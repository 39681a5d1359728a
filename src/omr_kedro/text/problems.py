"""The problems that a model found in a forum post."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from omr_kedro.text.replies import Unreadable, final_text, why_unreadable, without_fences
from omr_kedro.text.statements import after_marker, tidy

# Possessive quantifiers keep the time linear on hostile input such as a megabyte of blanks or asterisks.
_MARKER = re.compile(
    r"""^(?P<lead>[#>*_+•\-\ \t]*+(?:[0-9]{1,3}[.)][\ \t]*+[*_]{0,3})?)
        problem(?:[\ ]statement)?+
        (?:[\ \t]*+(?:no\b\.?|number\b|\#)?+[\ \t]*+0{0,3}(?P<number>[1-9][0-9]{0,3}))?+
        (?P<close>
            [*_]*+[\ \t]*+(?:\([^()\n]{0,80}\)|\[[^\[\]\n]{0,80}\])?+[*_]*+[\ \t]*+
            (?:[.)]{0,2}[:：]|[.)]{1,2}(?=[\s*_]|\Z)|[-–—]++(?=\s|\Z)|$)
        )""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_NOTHING = (
    r"no[ \t]++(?:(?:other|further|additional|more)[ \t]++)?(?:math\w*+[ \t]++)?"
    r"problems?[ \t]++(?:(?:were|was|are|is|could be|can be)[ \t]++)?(?:identified|found)\b"
)
_SAYS_NOTHING = re.compile(rf"^[^\w\n]*+{_NOTHING}|\b{_NOTHING}[^\w\n]*+$", re.IGNORECASE | re.MULTILINE)
_NOTHING_LINE = re.compile(rf"^[^\w\n]*+{_NOTHING}[^\w\n]*+$", re.IGNORECASE | re.MULTILINE)


class _Head(NamedTuple):
    """The heading of a statement: its marker, and where that begins, with a repeated heading if there is one."""

    start: int
    marker: re.Match[str]


def parse_problems(reply: str) -> tuple[str, ...] | Unreadable:
    """The problem statements in a reply of the form `Problem 1: … Problem 2: …`; `()` when it says there are none.

    Where a statement starts:

    - A marker stands at the start of a line and has a delimiter or ends the line, so `see Problem 2: …` within a
      line, `Problem 2 is harder` and `Problem 1a:` are text.
    - Markers count when they run 1, 2, 3, …: a line `Problem 7:` within the first problem is text.
    - A number that comes a second time could be a draft and its final form, or a quotation. Nothing in the text tells
      which, so the reply is `unparsed`; a heading repeated above the same empty statement is the exception.
    - Without numbered markers, a lone `Problem:` counts.

    What precedes the first marker is dropped, and a statement that is empty is no problem. The declaration that there
    are no problems counts only in a reply without statements, and only where it starts or ends a line.
    """
    text = without_fences(final_text(reply))
    heads = _counting(list(_MARKER.finditer(text)))
    if heads is None:
        return Unreadable("unparsed", "the numbering of the problems starts again")
    if statements := _statements(text, heads):
        return statements
    return () if _SAYS_NOTHING.search(text) else why_unreadable(text)


def _counting(candidates: Sequence[re.Match[str]]) -> list[_Head] | None:
    numbered = _in_order([marker for marker in candidates if marker["number"]])
    if numbered or numbered is None:
        return numbered
    lone = [_Head(marker.start(), marker) for marker in candidates if not marker["number"]]
    return lone if len(lone) == 1 else []


def _in_order(candidates: Sequence[re.Match[str]]) -> list[_Head] | None:
    run: list[_Head] = []
    for marker in candidates:
        number = int(marker["number"])
        if number == len(run) + 1:
            run.append(_Head(marker.start(), marker))
        elif number == len(run) and _adjacent(run[-1].marker, marker):
            run[-1] = _Head(run[-1].start, marker)
        elif number <= len(run):
            return None
    return run


def _adjacent(first: re.Match[str], second: re.Match[str]) -> bool:
    return not first.string[first.end() : second.start()].strip(" \t\n*_")


def _statements(text: str, heads: Sequence[_Head]) -> tuple[str, ...]:
    ends = [head.start for head in heads[1:]] + [len(text)]
    raw = (after_marker(head.marker, text[head.marker.end() : end]) for head, end in zip(heads, ends, strict=False))
    return tuple(statement for piece in raw if (statement := tidy(_NOTHING_LINE.sub("", piece))))
