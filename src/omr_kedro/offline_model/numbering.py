"""Numbered lists in posts: `1.`, `2)`, `Problem 3:`, `#4`. Lettered parts belong to the item they stand in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_MARKER = re.compile(
    r"^[^\S\n]*+[*•#-]?[^\S\n]*+(?P<word>problem|problema|exercise|question|task|prob|ex|q|no|nr)?+[ .#]{0,3}+"
    r"\(?(?P<number>[1-9][0-9]?)(?:\)|[.):]|\)[.:])(?![0-9])[^\S\n]*",
    re.IGNORECASE | re.MULTILINE,
)


class Item(NamedTuple):
    """One item of a list, without its number."""

    number: int
    text: str


class Listing(NamedTuple):
    """A text taken apart: what precedes the list, and its items."""

    preamble: str
    items: list[Item]


def listing(text: str) -> Listing:
    """The list of problems in a first post.

    Numbers must count upward without a gap, from 1 unless the marker has a word; other numbers at the start of a line
    are text. A single bare number makes no list.
    """
    run: list[re.Match[str]] = []
    for marker in _MARKER.finditer(text):
        expected = int(run[-1]["number"]) + 1 if run else 1
        if int(marker["number"]) == expected or (marker["word"] and not run):
            run.append(marker)
    return _cut(text, run if len(run) > 1 or (run and run[0]["word"]) else [])


def remarks(text: str) -> Listing:
    """The numbered parts of a reply, in any order: people answer what they like."""
    return _cut(text, list(_MARKER.finditer(text)))


def part_of(items: Iterable[Item], number: int) -> str:
    """All that items of one number say."""
    return "\n".join(item.text for item in items if item.number == number)


def _cut(text: str, markers: list[re.Match[str]]) -> Listing:
    if not markers:
        return Listing(text, [])
    ends = [marker.start() for marker in markers[1:]] + [len(text)]
    items = [
        Item(int(marker["number"]), text[marker.end() : end].strip()) for marker, end in zip(markers, ends, strict=True)
    ]
    return Listing(text[: markers[0].start()].strip(), items)
