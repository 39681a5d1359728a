"""The server's tokenizer: reversible, and made of no file.

A token is one to four ASCII characters in a row, or one other character. Three more tokens mark the turns of a chat, as
ChatML has them; no text holds them, whatever it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_PIECE = re.compile(r"[\x01-\x7f]{1,4}|.", re.DOTALL)
_OTHERS = 0x7F80_0000
"""Above the largest id of ASCII characters, which is that of their bytes."""
_BEGIN, _SAYS, _END = 0x7FF0_0000, 0x7FF0_0001, 0x7FF0_0002
ASSISTANT = "assistant"


def encode(text: str) -> list[int]:
    """The ids of a text."""
    return [_id(piece) for piece in _PIECE.findall(text)]


def decode(ids: Iterable[int]) -> str:
    """The text of ids.

    Raises:
        ValueError: one is no id of a text.
    """
    return "".join(map(_piece, ids))


def count(text: str) -> int:
    """The number of a text's tokens."""
    return sum(1 for _ in _PIECE.finditer(text))


def encode_chat(messages: Sequence[Mapping[str, Any]]) -> list[int]:
    """The ids of a chat, at the end of which the assistant begins to speak."""
    return [*(each for message in messages for each in _turn(message)), _BEGIN, *encode(ASSISTANT), _SAYS]


def decode_chat(ids: Sequence[int]) -> list[dict[str, Any]]:
    """The messages of a chat, the last of which may be at its beginning; ids without marks are one of the user.

    Raises:
        ValueError: an id is unknown, or a mark is out of its place.
    """
    before, *turns = _split(ids, _BEGIN)
    if before and turns:
        raise ValueError("there are tokens before the first turn")
    return [_message(turn) for turn in turns] if turns else [{"role": "user", "content": decode(before)}]


def _turn(message: Mapping[str, Any]) -> Iterator[int]:
    yield from (_BEGIN, *encode(message["role"]), _SAYS, *encode(message["content"] or ""), _END)


def _message(turn: list[int]) -> dict[str, Any]:
    role, content = _split(turn, _SAYS)
    return {"role": decode(role), "content": decode(content[:-1] if content[-1:] == [_END] else content)}


def _split(ids: Sequence[int], mark: int) -> list[list[int]]:
    parts: list[list[int]] = [[]]
    for each in ids:
        if each == mark:
            parts.append([])
        else:
            parts[-1].append(each)
    return parts


def _id(piece: str) -> int:
    return int.from_bytes(piece.encode()) if piece.isascii() else _OTHERS + ord(piece)


def _piece(token: int) -> str:
    if token >= _OTHERS:
        piece = chr(token - _OTHERS)
        piece.encode()  # refuses halves of surrogate pairs, as JSON does
        return piece
    return token.to_bytes(max(1, -(-token.bit_length() // 8))).decode("ascii")
