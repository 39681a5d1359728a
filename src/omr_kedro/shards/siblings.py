"""Tables that come of one pass over the same shards: what a stage keeps, and what it does not."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from omr_kedro.shards.recipes import Check, Finished, Row, Scratch, Shards, accept, fingerprints_of
from omr_kedro.shards.spools import Spool

_SPOOL_BUFFER = 1 << 16

# On the disk of the first table, until the others are saved. Tables are saved whole, one after the other, where no
# jobs make them; what is more than this is made by a pass of its own.
_MOST_SPOOLED = 4 << 30


@dataclass(frozen=True)
class SiblingShards:
    """One of several tables that one pass makes.

    Saved in their order, the first writes its rows and lays those of the tables after it aside, in files that these
    take when they are saved. A table whose rows are not laid aside (it is saved before its turn, a kill came in
    between, somebody deleted the file) is made by a pass of its own.
    """

    fingerprints: Mapping[str, str]
    table: str
    """Its name in the pass."""
    one_pass: OnePass
    check: Check = accept

    def finished(self, pending: Sequence[str], scratch: Callable[[str], Scratch]) -> Generator[Finished, None, None]:
        """Make one shard after the other; no rows are in memory between them."""
        for shard_id in pending:
            yield Finished(shard_id, self.one_pass.rows(self.table, shard_id, scratch(shard_id)))


def map_siblings(
    make: Callable[..., Iterable[tuple[str, Row]]], names: Sequence[str], *tables: Shards, by: object = None
) -> tuple[SiblingShards, ...]:
    """Map shards to shards of the same id, of several tables.

    Args:
        make: takes a `Scratch` and one `Shard` of each table, yields the rows of the new shards in their order, each
            with the name of its table.
        names: what `make` calls the tables, in the order in which they are saved.
        tables: tables with the same shard ids.
        by: whatever else decides the rows (parameters, digests of other inputs), as JSON can hold it.
    """
    one_pass = OnePass(lambda shard_id, scratch: make(scratch, *(table[shard_id] for table in tables)), names)

    def made_by(name: str) -> dict[str, str]:
        return fingerprints_of(tables[0], [make], tables, [name, by])

    return tuple(SiblingShards(made_by(name), name, one_pass) for name in names)


def map_joined(make: Callable[..., Iterable[Row]], *tables: Shards, by: object = None) -> SiblingShards:
    """Map shards to shards of the same id by a function that joins rows.

    Args:
        make: takes a `Scratch`, as `join` needs it, and one `Shard` of each table; yields the rows of the new shard.
        tables: tables with the same shard ids.
        by: whatever else decides the rows, as JSON can hold it.
    """

    def rows(*shards: Any) -> Iterator[tuple[str, Row]]:
        return (("rows", row) for row in make(*shards))

    return map_siblings(rows, ["rows"], *tables, by=by)[0]


class OnePass:
    """The shared part of sibling tables: how their rows are made, and those that are laid aside."""

    def __init__(self, make: Callable[[str, Scratch], Iterable[tuple[str, Row]]], tables: Sequence[str]) -> None:
        self._make = make
        self._tables = tuple(tables)
        self._spools: dict[tuple[str, str], Spool] = {}
        weakref.finalize(self, _delete, self._spools)

    def rows(self, table: str, shard_id: str, scratch: Scratch) -> Iterator[Row]:
        """The rows of one table's shard: those that were laid aside, or else those of a pass."""
        spool = self._spools.pop((table, shard_id), None)
        with suppress(FileNotFoundError):
            if spool:
                return spool.take()
        return self._pass(table, shard_id, scratch)

    def _pass(self, table: str, shard_id: str, scratch: Scratch) -> Iterator[Row]:
        spools = {name: Spool(scratch) for name in self._after(table)}
        try:
            for name, row in self._make(shard_id, scratch):
                if name == table:
                    yield row
                elif name in spools and not _lay_aside(spools[name], row):
                    spools.pop(name).delete()
            for name, spool in spools.items():
                spool.flush()
                if former := self._spools.pop((name, shard_id), None):  # of a save that failed in the end
                    former.delete()
        except BaseException:
            _delete(spools)
            raise
        self._spools.update(((name, shard_id), spool) for name, spool in spools.items())

    def _after(self, table: str) -> Sequence[str]:
        spooled = sum(spool.bytes for spool in list(self._spools.values()))
        return () if spooled > _MOST_SPOOLED else self._tables[self._tables.index(table) + 1 :]


def _lay_aside(spool: Spool, row: Row) -> bool:
    """Whether it can be: a row that JSON cannot hold will be refused, in the table's own words, when it is made."""
    try:
        spool.add(row)
    except TypeError:
        return False
    if spool.buffered >= _SPOOL_BUFFER:
        spool.flush()
    return True


def _delete(spools: Mapping[Any, Spool]) -> None:
    for spool in spools.values():
        spool.delete()
