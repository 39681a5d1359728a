"""Where a formula may be cut: signs and commands with their depth in brackets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

CLOSING = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "\\langle": "\\rangle"}
"""The bracket that closes each."""
_CLOSERS = frozenset(CLOSING.values())
_PIECE = re.compile(r"\\begin ?\{[a-z]*\}|\\end ?\{[a-z]*\}|\\[a-zA-Z]+|\\.|\b(?:and|or)\b|.", re.DOTALL)


class Piece(NamedTuple):
    """A sign, a command, or one of the words `and` and `or`."""

    text: str
    depth: int
    """How many brackets are open around it; brackets count as outside."""
    place: int


def pieces_of(text: str) -> list[Piece]:
    """All pieces in their order. Brackets of different kinds close each other, as those of half-open intervals do."""
    depth = 0
    pieces = []
    for found in _PIECE.finditer(text):
        piece = found[0]
        if piece in _CLOSERS or piece.startswith("\\end"):
            depth -= 1
        pieces.append(Piece(piece, depth, found.start()))
        if piece in CLOSING or piece.startswith("\\begin"):
            depth += 1
    return pieces


def split(text: str, pieces: Sequence[Piece], at: frozenset[str]) -> tuple[list[str], list[str]]:
    """The text cut at the outermost separators, and these."""
    parts, signs, start = [], [], 0
    for piece, depth, place in pieces:
        if depth == 0 and piece in at:
            parts.append(text[start:place])
            signs.append(piece)
            start = place + len(piece)
    return [*parts, text[start:]], signs


def encloses(pieces: Sequence[Piece]) -> bool:
    """Whether the first bracket is closed by the last one."""
    return len(pieces) > 1 and all(piece.depth > 0 for piece in pieces[1:-1]) and pieces[-1].depth == 0
