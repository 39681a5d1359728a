"""Who a row is and where it lives: both follow from its content, so neither changes when rows are added."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import orjson

import omr_kedro


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


@cache
def code_digest() -> str:
    """Digest of this package's source.

    Part of how every shard was made: better code makes its shards again, and model calls are found by key all the same.
    """
    root = Path(omr_kedro.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
