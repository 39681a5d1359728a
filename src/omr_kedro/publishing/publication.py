"""A config that is to be published: its rows as a stream, and all that decides them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from omr_kedro.publishing.manifest import Manifest
from omr_kedro.shards.code import code_digest
from omr_kedro.shards.formats import read_batches
from omr_kedro.shards.identity import fingerprint
from omr_kedro.shards.recipes import Shards

TRAIN = "train"
"""The only split: a config has one use, and test sets of mathematics are others' benchmarks."""


def accept(batch: pa.RecordBatch) -> None:
    """The check of configs that may hold any rows."""


@dataclass(frozen=True)
class Publication:
    """Rows of a config, in the order in which they are published."""

    schema: pa.Schema
    fingerprint: str
    """Equal ones give equal rows."""
    batches: Callable[[], Iterable[pa.RecordBatch]]
    """Starts the stream anew at each call; batches of about a megabyte."""
    check: Callable[[pa.RecordBatch], None] = accept
    """Called with each batch before it is written; raises where it must not be."""
    why_empty: str = "no rows"
    """Reason that is told when there are no rows."""


@dataclass(frozen=True)
class Published:
    """A config that was published: what it holds, and its rows."""

    folder: Path
    """Of the dataset."""
    manifest: Manifest

    @property
    def digest(self) -> str:
        """Changes exactly when the files do."""
        return fingerprint([file.sha256 for file in self.manifest.files])

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Stream the rows in their order, with these columns or all; about a megabyte of them is in memory."""
        for file in self.manifest.files:
            yield from read_batches(self.folder / file.path, columns)

    @property
    def paths(self) -> list[Path]:
        """Its files."""
        return [self.folder / file.path for file in self.manifest.files]


def publication(
    schema: pa.Schema,
    batches: Callable[[], Iterable[pa.RecordBatch]],
    inputs: Iterable[Shards | Published],
    by: object = None,
    *,
    check: Callable[[pa.RecordBatch], None] = accept,
    why_empty: str = "no rows",
) -> Publication:
    """A config made of tables and of other configs.

    Args:
        schema: its columns; what is said about them is not published with them.
        batches: see `Publication`.
        inputs: what it is made of.
        by: whatever else decides the rows, as JSON can hold it.
        check: see `Publication`.
        why_empty: see `Publication`.
    """
    digests = [_digests(given) for given in inputs]
    columns = [[field.name, str(field.type)] for field in schema]
    made_by = fingerprint(code_digest(batches, check), columns, digests, by)
    return Publication(bare(schema), made_by, batches, check, why_empty)


def bare(schema: pa.Schema) -> pa.Schema:
    """The columns without what is said about them."""
    return pa.schema([field.remove_metadata() for field in schema])


def _digests(given: Shards | Published) -> str | Mapping[str, str]:
    return given.digest if isinstance(given, Published) else {name: shard.digest for name, shard in given.items()}
