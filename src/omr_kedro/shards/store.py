"""A table on disk.

    <table>/shard-00003-of-00016.jsonl      rows (or .parquet)
    <table>/_made/shard-00003-of-00016.json how they were made, how many there are, and their digest
    <table>/_open/…  _retired/…             work of a shard that is being made; calls paid for that it no longer needs
    <table>/_open/….lock                    held by the process that makes the shard, when several share a table
    <table>/_complete.json                  all marks in one file, present when every shard is there
    <table>/_lock                           held by the one process that writes, or shared by those that write parts

A shard counts as made when its mark names the wanted fingerprint (the recipe's, with the columns of the table) and the
file has the marked size. The mark goes before the file is replaced and comes after it, so a kill in between makes one
shard again and trusts neither half.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from omr_kedro.shards.batches import batches, checked, json_lines
from omr_kedro.shards.errors import MissingTableError, ShardCountError, UnmadeError
from omr_kedro.shards.files import (
    delete_for_good,
    fellow_writer,
    lease,
    make_folder,
    remove_leftovers,
    room_for,
    sole_writer,
    whole_file,
    whole_lines,
)
from omr_kedro.shards.formats import BATCH, FORMATS, Format, read_column, read_rows, writing
from omr_kedro.shards.identity import fingerprint
from omr_kedro.shards.processes import spread
from omr_kedro.shards.recipes import Finished, MappedShards, Recipe, Row, Scratch, Shard, Shards

logger = logging.getLogger(__name__)

_OTHER: dict[Format, Format] = {"jsonl": "parquet", "parquet": "jsonl"}
_TELL_EVERY_S = 10.0

# The lanes of a job come to write as their calls end, many at once. To read, check and compress is work for a core, and
# takes up to 20 MB for long texts: more lanes at it than there are cores are memory for nothing.
_WRITERS = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class Mark:
    """All that is known of a finished shard without reading it."""

    fingerprint: str
    digest: str
    rows: int
    bytes: int
    settled: bool


class TableStore:
    """Reads and writes one table's folder; not `durable` is what nobody will miss after a power cut."""

    def __init__(self, folder: Path, format: Format, schema: pa.Schema, *, durable: bool = True) -> None:
        self.folder = folder
        self._whole_file = partial(whole_file, durable=durable)
        self.format = format
        self.schema = schema

    @property
    def complete(self) -> bool:
        """Whether the last save went through to its end."""
        return (self.folder / "_complete.json").is_file()

    def shards(self) -> Shards:
        """The finished table.

        Raises:
            MissingTableError: when it was never finished, or is being made again.
        """
        if not self.complete:
            raise MissingTableError(
                f"The table {self.folder} is not there, or was not finished. Run the pipeline that makes it first, or "
                "all of them at once: kedro run, with the same --env and --params."
            )
        return Shards(self._shard(name, mark) for name, mark in self._marks().items())

    def part(self, ids: Iterable[str]) -> Shards:
        """These shards as they are, whether or not the rest of the table is there.

        Raises:
            MissingTableError: one of them was never written.
        """
        marks = {name: self._mark(name) for name in ids}
        if absent := [name for name, mark in marks.items() if mark is None]:
            raise MissingTableError(
                f"The table {self.folder} has no {absent[0]}. Run the pipeline that makes it first."
            )
        return Shards((self._shard(name, mark) for name, mark in marks.items() if mark), whole=False)

    def save(self, recipe: Recipe) -> int:
        """Make the shards whose fingerprint is new, write each as it comes; returns how many were written.

        Raises:
            TableBusyError: another process writes this table.
            ShardCountError: the table exists with another number of shards.
            RowError: a row does not fit the schema.
            DiskFullError: what was finished is kept.
        """
        wanted = self._wanted(recipe)
        with room_for(self.folder), sole_writer(self.folder):
            remove_leftovers(self.folder)
            marks = self._marks()
            self._check_count(set(marks), set(wanted))
            pending = self._pending(wanted, marks)
            if pending or not self.complete:
                self._reopen()
                marks |= self._make(recipe, pending)
                self._complete(recipe, marks)
            self._remove_former()
        return len(pending)

    def save_part(self, recipe: Recipe) -> int:
        """As `save`, for some shards of the table, while other processes save others; `conclude` finishes the table.

        Waits for shards that another process has begun. Raises as `save` does, and `TableBusyError` only when a process
        writes the whole table.
        """
        wanted = self._wanted(recipe)
        with room_for(self.folder), fellow_writer(self.folder), ExitStack() as leases:
            # In one order, so that two processes never wait for each other.
            for name in sorted(self._pending(wanted, self._marks_of(wanted))):
                leases.enter_context(lease(self.folder / "_open" / f"{name}.lock"))
            # Looked at again: whoever held a lease may have made the shard.
            pending = self._pending(wanted, self._marks_of(wanted))
            if pending:
                self._reopen()
                for name in pending:
                    remove_leftovers(self.folder, name)
                self._make(recipe, pending)
            recipe.check(row for name in wanted for row in self._read(name))
        return len(pending)

    def conclude(self, recipe: Recipe) -> None:
        """Declare the table finished whose shards were saved in parts.

        Raises:
            UnmadeError: some shard is not there as this recipe would make it.
            TableBusyError: another process still writes this table.
        """
        wanted = self._wanted(recipe)
        with room_for(self.folder), sole_writer(self.folder):
            remove_leftovers(self.folder)
            marks = self._marks()
            self._check_count(set(marks), set(wanted))
            if unmade := self._pending(wanted, marks, settled=False):
                raise UnmadeError(
                    f"{self.folder}: {len(unmade)} of {len(wanted)} shards are not there as this run would make them, "
                    f"first {unmade[0]}. Inputs, settings or code were changed while they were made; "
                    "run the same command again, which makes what is missing."
                )
            if not self.complete:
                self._complete(recipe, marks)
            self._remove_former()

    def pending(self, recipe: Recipe, *, settled: bool = True) -> list[str]:
        """The shards that `save` would make; without those that only hold calls to be tried again if not `settled`.

        Raises:
            ShardCountError: the table exists with another number of shards.
        """
        wanted = self._wanted(recipe)
        marks = self._marks()
        self._check_count(set(marks), set(wanted))
        return self._pending(wanted, marks, settled=settled)

    def pending_part(self, recipe: Recipe) -> list[str]:
        """The shards that `save_part` would make; no others are looked at."""
        wanted = self._wanted(recipe)
        return self._pending(wanted, self._marks_of(wanted))

    def begun(self, name: str) -> bool:
        """Whether anything was ever done for a shard, finished or not."""
        scratch = self.scratch(name)
        return any(path.exists() for path in (self._stored(name), scratch.open, scratch.retired))

    def written(self) -> list[str]:
        """The shards that were ever written, whether or not the table is finished."""
        return list(self._marks())

    def scratch(self, name: str) -> Scratch:
        """Where unfinished and retired work of a shard lies, to be looked at; there may be none."""
        return Scratch(
            open=self.folder / "_open" / f"{name}.jsonl",
            retired=self.folder / "_retired" / f"{name}.jsonl",
            earlier=partial(self._earlier, name),
        )

    def head(self, count: int, columns: Sequence[str] | None = None) -> list[Row]:
        """The first rows of the table, reading no more than it must; none when nothing is finished."""
        filled = (name for name, mark in self._marks().items() if mark.rows and self._stored(name).exists())
        return list(islice((row for name in filled for row in self._read(name, columns)), count))

    def files(self) -> list[Path]:
        """The files of all shards that are there, whole or not yet marked, by the shards' names."""
        names = sorted({path.stem for suffix in FORMATS for path in self.folder.glob(f"shard-*.{suffix}")})
        return [self._stored(name) for name in names]

    def _marks(self) -> dict[str, Mark]:
        """Marks of all shards that were ever written, by id."""
        try:
            known = orjson.loads((self.folder / "_complete.json").read_bytes())
        except FileNotFoundError:
            return self._marks_of(sorted(path.stem for path in (self.folder / "_made").glob("*.json")))
        return {name: Mark(**mark) for name, mark in known.items()}

    def _marks_of(self, names: Iterable[str]) -> dict[str, Mark]:
        marks = {name: self._mark(name) for name in names}
        return {name: mark for name, mark in marks.items() if mark}

    def _mark(self, name: str) -> Mark | None:
        """None also for a mark that cannot be read: its shard is made again, as if a kill had come before the mark."""
        try:
            return Mark(**orjson.loads(self._mark_path(name).read_bytes()))
        except (FileNotFoundError, orjson.JSONDecodeError, TypeError):
            return None

    def _shard(self, name: str, mark: Mark) -> Shard:
        return Shard(name, mark.digest, mark.rows, partial(self._read, name), partial(self._read_column, name))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.{self.format}"

    def _former(self, name: str) -> Path:
        """The shard's file as it was before the table's format was changed."""
        return self.folder / f"{name}.{_OTHER[self.format]}"

    def _stored(self, name: str) -> Path:
        """The file to read: the former one until the shard has been written in the format that is wanted now."""
        path, former = self._path(name), self._former(name)
        return path if path.exists() or not former.exists() else former

    def _mark_path(self, name: str) -> Path:
        return self.folder / "_made" / f"{name}.json"

    def _wanted(self, recipe: Recipe) -> dict[str, str]:
        """How each shard is made: by the recipe, and into which columns; their descriptions are for people alone."""
        columns = [[field.name, str(field.type), field.nullable] for field in self.schema]
        return {name: fingerprint(made_by, columns) for name, made_by in recipe.fingerprints.items()}

    def _pending(self, wanted: Mapping[str, str], marks: Mapping[str, Mark], *, settled: bool = True) -> list[str]:
        return [name for name, made_by in wanted.items() if not self._is_made(name, marks.get(name), made_by, settled)]

    def _is_made(self, name: str, mark: Mark | None, made_by: str, settled: bool) -> bool:
        if mark is None or mark.fingerprint != made_by or (settled and not mark.settled):
            return False
        try:
            return self._path(name).stat().st_size == mark.bytes
        except FileNotFoundError:
            return False

    def _make(self, recipe: Recipe, pending: Sequence[str]) -> dict[str, Mark]:
        wanted = self._wanted(recipe)
        if isinstance(recipe, MappedShards) and recipe.processes > 1 and len(pending) > 1:
            return self._make_apart(recipe, pending)
        # Closed at once when a write fails: its maker may be spending money in another thread.
        with closing(recipe.finished(pending, self._scratch)) as made:
            return {finished.id: self._write(finished, wanted[finished.id]) for finished in made}

    def _make_apart(self, recipe: MappedShards, pending: Sequence[str]) -> dict[str, Mark]:
        marks: dict[str, Mark] = {}
        told = time.monotonic()
        with closing(spread(partial(_make_one, self, recipe), pending, recipe.processes)) as made:
            for name, mark in made:
                marks[name] = mark
                if time.monotonic() > told + _TELL_EVERY_S:
                    told = time.monotonic()
                    logger.info("%s: %d of %d shards", self.folder.name, len(marks), len(pending))
        return marks

    def _reopen(self) -> None:
        delete_for_good(self.folder / "_complete.json")

    def _complete(self, recipe: Recipe, marks: Mapping[str, Mark]) -> None:
        names = list(recipe.fingerprints)
        recipe.check(row for name in names for row in self._read(name))
        with self._whole_file(self.folder / "_complete.json") as file:
            file.write(orjson.dumps({name: asdict(marks[name]) for name in names}))

    def _remove_former(self) -> None:
        """Delete the files of the format that the table had before; call when it is complete in its own."""
        for path in self.folder.glob(f"shard-*.{_OTHER[self.format]}"):
            path.unlink(missing_ok=True)

    def _check_count(self, existing: set[str], wanted: set[str]) -> None:
        if existing and not _splits(existing) <= _splits(wanted):
            raise ShardCountError(
                f"{self.folder} holds {min(existing)}, but this run makes {min(wanted)}. "
                "Work that was paid for is found by shard: set the number of shards back, "
                "or choose another `workspace` in globals.yml for a fresh start."
            )

    def _scratch(self, name: str) -> Scratch:
        for kind in ("_open", "_retired"):
            make_folder(self.folder / kind)
        return self.scratch(name)

    def _earlier(self, name: str) -> Iterator[Row]:
        """Rows as they were last written, as far as they can be read: they may be why the shard is made again.

        In either format, since a table whose format was changed holds what was paid for in the former one. A kill may
        have left both; what is said last is newer.
        """
        for path in (self._former(name), self._path(name)):
            if path.suffix == ".jsonl":
                yield from whole_lines(path)
            elif path.exists():
                with suppress(pa.ArrowException, OSError, UnicodeDecodeError):
                    yield from read_rows(path)

    def _read(self, name: str, columns: Sequence[str] | None = None) -> Iterator[Row]:
        return read_rows(self._stored(name), columns)

    def _read_column(self, name: str, column: str) -> Iterator[Any]:
        return read_column(self._stored(name), column)

    def _write(self, finished: Finished, made_by: str) -> Mark:
        with _WRITERS:
            mark = self._write_rows(finished, made_by)
            # Arrow's allocator keeps what a thread has freed for this thread: ten megabytes in each lane, idle or not.
            pa.default_memory_pool().release_unused()
        if finished.after:
            finished.after()
        return mark

    def _write_rows(self, finished: Finished, made_by: str) -> Mark:
        path = self._path(finished.id)
        digest = hashlib.sha256()
        count = 0
        with self._whole_file(path) as file, writing(file, self.format, self.schema) as write:
            for rows in batches(finished.rows, BATCH[self.format]):
                batch = checked(rows, self.schema, self.folder.name)
                lines = json_lines(rows, batch)
                digest.update(lines)
                write(batch, lines)
                count += len(rows)
            # The old mark must not vouch for new rows: inputs may be changed back before it is replaced.
            delete_for_good(self._mark_path(finished.id))
        mark = Mark(made_by, digest.hexdigest()[:32], count, path.stat().st_size, finished.settled)
        with self._whole_file(self._mark_path(finished.id)) as file:
            file.write(orjson.dumps(asdict(mark)))
        return mark


def _make_one(store: TableStore, recipe: MappedShards, name: str) -> Mark:
    return store._write(Finished(name, recipe.make(name)), store._wanted(recipe)[name])


def _splits(names: Iterable[str]) -> set[str]:
    """In how many shards the tables of these shards are split; one number, unless tables were mixed up."""
    return {name.rpartition("-of-")[2] for name in names}
