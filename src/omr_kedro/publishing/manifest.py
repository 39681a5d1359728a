"""Contents of a config of the published dataset: its files, how many rows they hold, and their columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A Parquet file of a config."""

    path: str
    """Relative to the dataset's folder, as the Hub has it: `data/cot/train-00000-of-00003.parquet`."""
    rows: int
    bytes: int
    sha256: str
    """64 hex digits; the Hub compares uploads by it."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A config: its split, files and columns. Without rows it has no files, and the dataset no such config."""

    config: str
    split: str
    files: tuple[PublishedFile, ...]
    features: tuple[Mapping[str, Any], ...]
    """The columns as `dataset_info.features` of a card lists them; see `features_of`."""
    fingerprint: str
    """Changes when the rows may change."""
    bytes_in_memory: int = 0
    """Of all rows as Arrow holds them: `dataset_size` of a card."""
    why_empty: str = ""
    """Reason for a config without rows."""

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of all files: `download_size` of a card."""
        return sum(file.bytes for file in self.files)

    def as_dict(self) -> dict[str, Any]:
        """The manifest as JSON holds it; `from_dict` undoes it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Manifest:
        """The manifest that `as_dict` described.

        Raises:
            KeyError, TypeError: it is none.
        """
        files = tuple(PublishedFile(**file) for file in value["files"])
        return cls(**{**value, "files": files, "features": tuple(value["features"])})


_DTYPES = {pa.string(): "string", pa.int64(): "int64", pa.float64(): "float64", pa.bool_(): "bool"}


def features_of(schema: pa.Schema) -> tuple[dict[str, Any], ...]:
    """The columns as the Hub describes them: `{name, dtype}`, or `{name, list}` and `{name, struct}` of others.

    Raises:
        KeyError: a column has a type that no config has.
    """
    return tuple(_feature(field) for field in schema)


def _feature(field: pa.Field) -> dict[str, Any]:
    return {"name": field.name, **_described(field.type)}


def _described(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_struct(kind):
        return {"struct": [_feature(field) for field in kind]}
    if pa.types.is_list(kind):
        inside = _described(kind.value_type)
        return {"list": inside.get("struct") or inside.get("dtype") or [inside]}
    return {"dtype": _DTYPES[kind]}
