"""Ids of rows and the shards that they live in: both follow from content, so neither changes when rows are added."""

from __future__ import annotations

import hashlib

import orjson

MOST_SHARDS = 100_000
"""Of a table: their names number them with five digits, and are sorted by them."""


def content_id(*parts: str) -> str:
    """20 hex digits (80 bits) of the parts.

    Collisions are out of reach: for a billion rows the chance of one is below one in a million.
    """
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:20]


def shard_name(number: int, count: int) -> str:
    """Name of one shard, with the count in it, so that a table tells how it was split."""
    return f"shard-{number:05d}-of-{count:05d}"


def shard_names(count: int) -> list[str]:
    """All shards of a table that is split in `count`."""
    return [shard_name(number, count) for number in range(count)]


def shard_of(thread_id: str, count: int) -> str:
    """The shard of a thread and of everything derived from it. `thread_id` is a `content_id`."""
    return shard_name(int(thread_id, 16) % count, count)


def fingerprint(*parts: object) -> str:
    """32 hex digits of anything that JSON can hold: how a shard was made."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
