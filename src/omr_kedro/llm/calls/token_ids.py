"""Token ids of a prompt, as the text of their JSON: what a conversation of many turns has said is written once.

A list of 40,000 ids takes 1.6 MB, and writing it takes a millisecond, both for the key of a call and for its body. As
JSON they take 250 kB, and the ids of the next turn are appended to a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import orjson


class TokenIds(Sequence[int]):
    """Token ids that do not change.

    In JSON by `orjson` they are a list of numbers, with `default=as_json`.
    """

    __slots__ = ("_count", "_numbers")
    _numbers: bytes
    _count: int

    def __init__(self, ids: Iterable[int] = ()) -> None:
        """Take the ids; of those that are such, nothing is made anew."""
        if isinstance(ids, TokenIds):
            self._numbers, self._count = ids._numbers, ids._count
        else:
            given = list(ids)
            self._numbers, self._count = orjson.dumps(given)[1:-1], len(given)

    def __add__(self, more: Iterable[int]) -> TokenIds:
        behind, whole = TokenIds(more), TokenIds()
        whole._numbers = b",".join(filter(None, (self._numbers, behind._numbers)))
        whole._count = self._count + behind._count
        return whole

    @property
    def json(self) -> bytes:
        """All of them as a JSON list."""
        return b"[%b]" % self._numbers

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        return iter(self._ids())

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> list[int]: ...
    def __getitem__(self, place: int | slice) -> int | list[int]:
        return self._ids()[place]

    def _ids(self) -> list[int]:
        ids: list[int] = orjson.loads(self.json)
        return ids

    def __eq__(self, other: object) -> bool:
        return self._numbers == other._numbers if isinstance(other, TokenIds) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._numbers)


def are_token_ids(value: object, most: int) -> bool:
    """Whether a value is a list of whole numbers from 0 to `most`; that of a long reply is looked at in one go."""
    if not isinstance(value, list):
        return False
    return not value or (set(map(type, value)) == {int} and min(value) >= 0 and max(value) <= most)


def as_json(value: object) -> orjson.Fragment:
    """Token ids within JSON, for `default` of `orjson.dumps`.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(value, TokenIds):
        return orjson.Fragment(value.json)
    raise TypeError(f"{type(value).__name__} is no JSON")
