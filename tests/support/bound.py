"""Functions that something is bound to; in a module of their own, since what a test rests on is everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from omr_kedro.shards import Row, Shard


def rows(factor: int, shard: Shard) -> Iterator[Row]:
    return ({"n": factor * row["n"]} for row in shard.rows())


def bound(value: Any) -> list[Callable[..., Any]]:
    """Functions that something is bound to, each in another way."""
    odd: Any = partial(value, choices=())
    return [
        partial(rows, value),
        partial(rows, factor=odd),
        lambda: value,
        lambda: (value, 1),
        lambda: {"by": [value]},
        cache(lambda: value),
    ]
