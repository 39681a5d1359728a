"""Marks: what is known of a finished shard without reading it, in a form that tells when it was damaged."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import orjson

from omr_kedro.shards.integrity import checksum

_KINDS: dict[str, type] = {
    "fingerprint": str,
    "digest": str,
    "rows": int,
    "bytes": int,
    "settled": bool,
    "checksum": str,
}
_SEAL = "seal"


@dataclass(frozen=True, slots=True)
class Mark:
    """All that is known of a finished shard without reading it."""

    fingerprint: str
    digest: str
    """Of the rows, whatever the format of the file."""
    rows: int
    bytes: int
    settled: bool
    checksum: str = ""
    """Of the file; empty in marks of earlier versions, for which the digest of the rows is made anew."""


def sealed(name: str, mark: Mark) -> dict[str, Any]:
    """A mark as JSON holds it, with a checksum over itself and the name of its shard."""
    fields = asdict(mark)
    return {**fields, _SEAL: _seal(name, fields)}


def unsealed(name: str, value: object) -> Mark | None:
    """The mark of a shard as it was sealed; None for anything else. Marks of earlier versions have no seal."""
    if not isinstance(value, dict):
        return None
    fields = {key: field for key, field in value.items() if key != _SEAL}
    if any(type(field) is not _KINDS.get(key) for key, field in fields.items()):
        return None
    if ("checksum" in fields or _SEAL in value) and value.get(_SEAL) != _seal(name, fields):
        return None
    try:
        return Mark(**fields)
    except TypeError:  # a field is missing
        return None


def _seal(name: str, fields: dict[str, Any]) -> str:
    return checksum(orjson.dumps([name, fields], option=orjson.OPT_SORT_KEYS))
