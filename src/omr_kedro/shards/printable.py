"""Texts of strangers, made harmless to print."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from pathlib import Path

_STEERING = ("Cc", "Cf", "Cs")
_LONGEST_NAME = 200
_NAMED = 20


def printable(text: str) -> str:
    """The text without characters that steer a terminal or turn the reading direction; they are written out."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in _STEERING else _escaped(c) for c in text)


def printable_name(name: object) -> str:
    """The name of a file or a field on one line of an error message, cut where it is no name any more."""
    text = str(name)
    if len(text) <= _LONGEST_NAME and text.isprintable():
        return text
    text = printable(text[: _LONGEST_NAME + 1]).replace("\n", "\\n").replace("\t", "\\t")
    return text if len(text) <= _LONGEST_NAME else text[:_LONGEST_NAME] + "…"


def printable_path(path: Path) -> str:
    """A path in a message, from the working folder on where it is below it."""
    return printable_name(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def printable_line(text: str, most: int) -> str:
    """A text on one line, cut after so many characters."""
    line = " ".join(printable(text[: 2 * most]).split())
    return line if len(line) <= most else f"{line[:most]}…"


def those_found(names: Collection[str]) -> str:
    """The fields that a record has, as the end of a message about one that it has not; nothing where it has none."""
    if not names:
        return ""
    shown = ", ".join(printable_name(name) for name in sorted(names)[:_NAMED])
    return f" (there are: {shown}{', …' if len(names) > _NAMED else ''})"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
