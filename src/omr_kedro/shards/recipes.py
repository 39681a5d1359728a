"""The values that nodes take and give: finished shards to read, and recipes by which shards will be made.

A node never holds a table. It gets `Shards`, and returns a `Recipe`: for every shard a fingerprint of how it is made,
and a way to make it. The dataset that saves it makes only the shards whose fingerprint is new.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from omr_kedro.shards.code import code_digest
from omr_kedro.shards.identity import fingerprint, shard_names

Row = dict[str, Any]
Check = Callable[[Iterator[Row]], None]


@dataclass(frozen=True, slots=True)
class Shard:
    """One finished shard. `digest` changes exactly when the rows do."""

    id: str
    digest: str
    count: int
    read: Callable[[], Iterator[Row]]
    read_column: Callable[[str], Iterator[Any]] | None = None
    """Reads the values of one column for less than all rows cost; None where nothing can."""
    read_batches: Callable[[Sequence[str]], Iterator[pa.RecordBatch]] | None = None
    """Reads these columns as Arrow batches, without those that are not there; None where rows are not stored so."""

    def rows(self) -> Iterator[Row]:
        """Stream the rows in their stored order."""
        return self.read() if self.count else iter(())

    def column(self, name: str) -> Iterator[Any]:
        """Stream the values of one column in the order of the rows."""
        if not self.count:
            return iter(())
        return self.read_column(name) if self.read_column else (row[name] for row in self.read())


class Shards(Mapping[str, Shard]):
    """A finished table, or some shards of one (`whole` is false): its shards by id, none of them in memory."""

    def __init__(self, shards: Iterable[Shard], *, whole: bool = True) -> None:
        self._shards = {shard.id: shard for shard in shards}
        self.whole = whole

    def __getitem__(self, shard_id: str) -> Shard:
        return self._shards[shard_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shards)

    def __len__(self) -> int:
        return len(self._shards)

    @property
    def count(self) -> int:
        """Rows in all shards, known without reading them."""
        return sum(shard.count for shard in self._shards.values())

    def rows(self) -> Iterator[Row]:
        """Stream all rows, shard by shard."""
        for shard in self._shards.values():
            yield from shard.rows()


class Finished(NamedTuple):
    """A shard that is ready to be written."""

    id: str
    rows: Iterable[Row]
    settled: bool = True
    """False when some row failed in a way that may pass: the next run opens the shard again."""
    after: Callable[[], None] | None = None
    """Called once the shard is on disk, so that what helped to make it can go."""


class Scratch(NamedTuple):
    """Where a maker may leave work that should survive it, and what was made before."""

    open: Path
    """File for this shard's unfinished work; deleted by its owner once the shard is written."""
    retired: Path
    """File for finished work that the shard no longer holds."""
    earlier: Callable[[], Iterator[Row]]
    """Rows of this shard as it was last written; none when it was not."""
    damaged: bool = False
    """Whether the file of these rows is not what was written, so that rows may be missing or wrong."""


class Recipe(Protocol):
    """Shards to be made."""

    @property
    def fingerprints(self) -> Mapping[str, str]:
        """How each shard is made: equal fingerprints give equal rows."""
        ...

    @property
    def check(self) -> Check:
        """Called with all rows of these shards once they are written; raises when they must not count as finished."""
        ...

    def finished(self, pending: Sequence[str], scratch: Callable[[str], Scratch]) -> Generator[Finished, None, None]:
        """Make the pending shards, in any order."""
        ...


def accept(rows: Iterator[Row]) -> None:
    """The check of tables that may hold any rows."""


@dataclass(frozen=True)
class MappedShards:
    """Shards that a pure function makes, one at a time."""

    fingerprints: Mapping[str, str]
    make: Callable[[str], Iterable[Row]]
    check: Check = accept
    processes: int = 1
    """How many processes may make shards at once; with more than one, `make` must be picklable."""

    def finished(self, pending: Sequence[str], scratch: Callable[[str], Scratch]) -> Generator[Finished, None, None]:
        """Make one shard after the other; no rows are held between them."""
        del scratch  # A pure function has nothing to keep.
        for shard_id in pending:
            yield Finished(shard_id, self.make(shard_id))


def fingerprints_of(
    ids: Iterable[str], functions: Sequence[Callable[..., Any]], tables: Sequence[Shards], by: object
) -> dict[str, str]:
    """How each shard is made, where it is made of the shards of the same id.

    Args:
        ids: the shards to be made.
        functions: make the rows.
        tables: are read.
        by: whatever else decides the rows, as JSON can hold it.
    """
    code = code_digest(*functions)
    return {shard_id: fingerprint(code, by, [table[shard_id].digest for table in tables]) for shard_id in ids}


def map_shards(make: Callable[..., Iterable[Row]], *tables: Shards, by: object = None) -> MappedShards:
    """Map shards to shards of the same id.

    Args:
        make: takes one `Shard` of each table, yields the rows of the new shard.
        tables: tables with the same shard ids.
        by: whatever else decides the rows (parameters, digests of other inputs), as JSON can hold it.
    """
    return MappedShards(
        fingerprints=fingerprints_of(tables[0], [make], tables, by),
        make=lambda shard_id: make(*(table[shard_id] for table in tables)),
    )


def map_parts(
    make: Callable[..., Iterable[Row]], parts: Sequence[object], *tables: Shards, by: object, processes: int
) -> MappedShards:
    """A table whose n-th shard is made of the n-th part of something, in several processes.

    Args:
        make: picklable; takes a part and one `Shard` of each table, yields the rows of the new shard.
        parts: what was split; picklable.
        tables: tables with as many shards.
        by: whatever else decides the rows (the digest of what was split, parameters), as JSON can hold it.
        processes: how many shards may be made at once.
    """
    split = dict(zip(shard_names(len(parts)), parts, strict=True))
    return MappedShards(
        fingerprints=fingerprints_of(split, [make], tables, by),
        make=partial(_make_part, make, split, tables),
        processes=processes,
    )


def _make_part(
    make: Callable[..., Iterable[Row]], parts: Mapping[str, object], tables: Sequence[Shards], shard_id: str
) -> Iterable[Row]:
    return make(parts[shard_id], *(table[shard_id] for table in tables))
