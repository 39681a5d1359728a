"""A table on disk.

    <table>/shard-00003-of-00016.jsonl      rows (or .parquet)
    <table>/.made/shard-00003-of-00016.json how they were made, how many there are, and their digest
    <table>/.open/…  .retired/…             work of a shard that is being made; calls paid for that it no longer needs
    <table>/.open/….lock                    held by the process that makes the shard, when several share a table
    <table>/.complete.json                  all marks in one file, present when every shard is there
    <table>/.damaged/shard-…                files as they were found that were no longer what was written; never deleted
    <table>/.lock                           held by the one process that writes, or shared by those that write parts

A shard counts as made when its mark names the wanted fingerprint (the recipe's, with the columns of the table) and the
file is what was written: see `integrity` for how often that is looked at. The mark goes before the file is replaced and
comes after it, so a kill in between makes one shard again and trusts neither half. A mark that cannot be read is none,
and `.complete.json` and the single marks stand in for each other.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pyarrow as pa

from omr_kedro.shards.batches import batches, checked, json_lines
from omr_kedro.shards.errors import (
    ChangedTableError,
    DamagedTableError,
    MissingTableError,
    ShardCountError,
    UnmadeError,
)
from omr_kedro.shards.files import (
    delete_for_good,
    fellow_writer,
    keep_aside,
    last_writer,
    lease,
    make_folder,
    remove_leftovers,
    room_for,
    sole_writer,
    whole_file,
)
from omr_kedro.shards.formats import (
    BATCH,
    FORMATS,
    UNREADABLE,
    Format,
    is_damage,
    read_batches,
    read_column,
    read_rows,
    readable_rows,
    writing,
)
from omr_kedro.shards.identity import fingerprint
from omr_kedro.shards.integrity import Comparison, FileState, Integrity, file_checksum
from omr_kedro.shards.marks import Mark, sealed, unsealed
from omr_kedro.shards.processes import spread
from omr_kedro.shards.recipes import Finished, MappedShards, Recipe, Row, Scratch, Shard, Shards
from omr_kedro.shards.side_files import COMPLETE, DAMAGED, MADE, OPEN, RETIRED, move_former, side

logger = logging.getLogger(__name__)

_OTHER: dict[Format, Format] = {"jsonl": "parquet", "parquet": "jsonl"}
_TELL_EVERY_S = 10.0

# The lanes of a job come to write as their calls end, many at once. To read, check and compress is work for a core, and
# takes up to 20 MB for long texts: more lanes at it than there are cores are memory for nothing.
_WRITERS = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))


Value = TypeVar("Value")


class TableStore:
    """Reads and writes one table's folder.

    Args:
        folder: of the table; need not be there.
        format: of the files that are written; those of the other are read.
        schema: the columns.
        durable: false for what nobody will miss after a power cut.
        integrity: how often files are compared with what was written.
    """

    def __init__(
        self,
        folder: Path,
        format: Format,
        schema: pa.Schema,
        *,
        durable: bool = True,
        integrity: Integrity = "once",
    ) -> None:
        self.folder = folder
        self._whole_file = partial(whole_file, durable=durable)
        self.format = format
        self.schema = schema
        self._files = Comparison(integrity)
        self._damaged = set[str]()
        """Shards whose files were kept aside and are being made anew."""
        self._told = False
        self._saved: dict[str, str] = {}
        """Digests of the shards as this process has saved them, or has found them when it would have."""

    @property
    def complete(self) -> bool:
        """Whether the last save went through to its end."""
        return side(self.folder, COMPLETE).is_file()

    def shards(self) -> Shards:
        """The finished table.

        Raises:
            MissingTableError: when it was never finished, or is being made again.
            ChangedTableError: when another process has made it anew since this one saved it.
        """
        marks = self._finished()
        if marks is None and self.complete:
            marks = self._marks()
            marks = marks if _are_all(marks) else None
        if marks is None:
            raise MissingTableError(
                f"The table {self.folder} is not there, or was not finished. {self._others()}Run the pipeline that "
                "makes it first, or all of them at once: kedro run, with the same --env and --params."
            )
        self._check_unchanged(marks)
        return Shards(self._shard(name, mark) for name, mark in marks.items())

    def check(self) -> None:
        """Compare all files that have a mark with it, for those who read them as plain files.

        Raises:
            DamagedTableError, ChangedTableError: one is not what was written.
        """
        for name, mark in self._marks().items():
            if fault := self._files.fault(self._stored(name), mark):
                raise self._not_as_written(name, mark, fault)

    def part(self, ids: Iterable[str]) -> Shards:
        """These shards as they are, whether or not the rest of the table is there.

        Raises:
            MissingTableError: one of them was never written.
            ChangedTableError: another process has made one anew since this one saved it.
        """
        wanted = list(ids)
        marks = self._marks_of(wanted)
        if absent := [name for name in wanted if name not in marks]:
            raise MissingTableError(
                f"The table {self.folder} has no {absent[0]}. {self._others()}Run the pipeline that makes it first."
            )
        self._check_unchanged(marks)
        return Shards((self._shard(name, mark) for name, mark in marks.items()), whole=False)

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
            move_former(self.folder)
            remove_leftovers(self.folder)
            marks = self._marks()
            self._check_count(set(marks), set(wanted))
            pending = self._pending(wanted, marks)
            if pending or self._finished() is None:
                self._keep_damaged(pending, marks)
                if not pending and not self.complete:
                    logger.info("%s is written anew from the marks of the single shards.", side(self.folder, COMPLETE))
                self._reopen()
                marks |= self._make(recipe, pending)
                self._complete(recipe, marks)
            self._remove_former()
            self._note_saved(wanted, marks)
        return len(pending)

    def save_part(self, recipe: Recipe) -> int:
        """As `save`, for some shards of the table, while other processes save others; `conclude` finishes the table.

        Waits for shards that another process has begun. Raises as `save` does, and `TableBusyError` only when a process
        writes the whole table.
        """
        wanted = self._wanted(recipe)
        with room_for(self.folder), fellow_writer(self.folder), ExitStack() as leases:
            move_former(self.folder)
            # In one order, so that two processes never wait for each other.
            for name in sorted(self._pending(wanted, self._marks_of(wanted))):
                leases.enter_context(lease(side(self.folder, OPEN) / f"{name}.lock"))
            # Looked at again: whoever held a lease may have made the shard.
            marks = self._marks_of(wanted)
            pending = self._pending(wanted, marks)
            if pending:
                self._keep_damaged(pending, marks)
                self._reopen()
                for name in pending:
                    remove_leftovers(self.folder, name)
                marks |= self._make(recipe, pending)
            recipe.check(row for name in wanted for row in self._rows(name, marks[name]))
            self._note_saved(wanted, marks)
        return len(pending)

    def conclude(self, recipe: Recipe) -> None:
        """Declare the table finished whose shards were saved in parts.

        Raises:
            UnmadeError: some shard is not there as this recipe would make it.
            TableBusyError: another process still writes this table.
        """
        wanted = self._wanted(recipe)
        with room_for(self.folder), sole_writer(self.folder):
            move_former(self.folder)
            remove_leftovers(self.folder)
            marks = self._marks()
            self._check_count(set(marks), set(wanted))
            if unmade := self._pending(wanted, marks, settled=False):
                raise UnmadeError(
                    f"{self.folder}: {len(unmade)} of {len(wanted)} shards are not there as this run would make them, "
                    f"first {unmade[0]}. Inputs, settings or code were changed while they were made, or files were "
                    "damaged; run the same command again, which makes what is missing."
                )
            if self._finished() is None:
                self._complete(recipe, marks)
            self._remove_former()
            self._note_saved(wanted, marks)

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

    @property
    def begun_at_all(self) -> bool:
        """Whether there is anything of the table: a mark, a file of rows, or work on a shard."""
        return self.complete or bool(self.files() or self.written() or self.opened())

    def written(self) -> list[str]:
        """The shards that were ever written, whether or not the table is finished."""
        return list(self._marks())

    @property
    def rows_written(self) -> int:
        """Rows in the shards that were ever written, known without reading them."""
        return sum(mark.rows for mark in self._marks().values())

    @property
    def bytes_written(self) -> int:
        """Bytes of the shards that were ever written, by their marks."""
        return sum(mark.bytes for mark in self._marks().values())

    def opened(self) -> list[str]:
        """The shards with work that was begun and not finished."""
        return [path.stem for path in side(self.folder, OPEN).glob("*.jsonl")]

    def scratch(self, name: str) -> Scratch:
        """Where unfinished and retired work of a shard lies, to be looked at; there may be none."""
        return Scratch(
            open=side(self.folder, OPEN) / f"{name}.jsonl",
            retired=side(self.folder, RETIRED) / f"{name}.jsonl",
            earlier=partial(self._earlier, name),
            damaged=name in self._damaged,
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
        finished = self._finished()
        if finished is not None:
            return finished
        if self.complete and not self._told:
            self._told = True
            logger.warning(
                "%s is damaged; the marks of the single shards stand in for it.", side(self.folder, COMPLETE)
            )
        return self._marks_of(sorted(path.stem for path in side(self.folder, MADE).glob("*.json")))

    def _finished(self) -> dict[str, Mark] | None:
        """Marks of the finished table; None where it is not finished, or where they cannot be read."""
        known = _json_of(side(self.folder, COMPLETE))
        if not isinstance(known, dict):
            return None
        marks = {name: mark for name, value in known.items() if (mark := unsealed(name, value))}
        return marks if len(marks) == len(known) and all(name == Path(name).name for name in marks) else None

    def _marks_of(self, names: Iterable[str]) -> dict[str, Mark]:
        wanted = list(names)
        marks = {name: mark for name in wanted if (mark := self._mark(name))}
        if len(marks) < len(wanted) and (finished := self._finished()):
            marks = {name: mark for name in wanted if (mark := marks.get(name) or finished.get(name))}
        return marks

    def _mark(self, name: str) -> Mark | None:
        """None also for a mark that cannot be read: its shard is made again, as if a kill had come before the mark."""
        return unsealed(name, _json_of(self._mark_path(name)))

    def _shard(self, name: str, mark: Mark) -> Shard:
        return Shard(
            name,
            mark.digest,
            mark.rows,
            partial(self._rows, name, mark),
            partial(self._column, name, mark),
            partial(self._batches, name, mark) if self._stored(name).suffix == ".parquet" else None,
        )

    def _rows(self, name: str, mark: Mark) -> Iterator[Row]:
        return self._as_written(name, mark, partial(self._read, name))

    def _column(self, name: str, mark: Mark, column: str) -> Iterator[Any]:
        return self._as_written(name, mark, lambda: read_column(self._stored(name), column))

    def _batches(self, name: str, mark: Mark, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        return self._as_written(name, mark, lambda: read_batches(self._stored(name), columns))

    def _as_written(self, name: str, mark: Mark, read: Callable[[], Iterator[Value]]) -> Iterator[Value]:
        """Read a shard's file, which must be the marked one from the first row to the last.

        Raises:
            ChangedTableError, DamagedTableError: it is not, and rows that were given before count for nothing.
        """
        path = self._stored(name)
        if fault := self._files.fault(path, mark):
            raise self._not_as_written(name, mark, fault)
        state = FileState.of(path)
        try:
            yield from read()
        except UNREADABLE as error:
            if not is_damage(error) and not isinstance(error, FileNotFoundError):
                raise
            fault = "cannot be read" + (
                " (set `integrity` to `once` to have it healed)" if self._files.trusting else ""
            )
            raise self._not_as_written(name, mark, fault) from error
        if FileState.of(path) != state and (fault := self._files.fault(path, mark)):
            raise self._not_as_written(name, mark, fault)

    def _not_as_written(self, name: str, mark: Mark, fault: str) -> ChangedTableError | DamagedTableError:
        now = self._mark(name)
        if now == mark or (now is None and self.complete):
            return DamagedTableError(
                f"{self._stored(name)} {fault}. Run the pipeline that makes the table, or all of them at once (kedro "
                "run, with the same --env and --params): it makes the shard anew, and keeps this file aside. Work with "
                "a copy elsewhere if the change is yours."
            )
        return self._changed()

    def _note_saved(self, names: Iterable[str], marks: Mapping[str, Mark]) -> None:
        self._saved |= {name: marks[name].digest for name in names}

    def _check_unchanged(self, marks: Mapping[str, Mark]) -> None:
        if any(self._saved.get(name, mark.digest) != mark.digest for name, mark in marks.items()):
            raise self._changed()

    def _changed(self) -> ChangedTableError:
        return ChangedTableError(
            f"The table {self.folder} was made anew while this run was at work with it. {self._others()}Let that run "
            "end, or give one of the two another `workspace` (globals.yml); then run the same command again: all that "
            "was finished is kept."
        )

    def _others(self) -> str:
        """A sentence about another process that may be at work on the table; empty where none ever was."""
        writer = last_writer(self.folder)
        return writer and (
            f"The last to write it was {writer}: two runs of one workspace make each other's tables anew when their "
            "prompts, settings or inputs differ. "
        )

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
        return side(self.folder, MADE) / f"{name}.json"

    def _wanted(self, recipe: Recipe) -> dict[str, str]:
        """How each shard is made: by the recipe, and into which columns; their descriptions are for people alone."""
        columns = [[field.name, str(field.type), field.nullable] for field in self.schema]
        return {name: fingerprint(made_by, columns) for name, made_by in recipe.fingerprints.items()}

    def _pending(self, wanted: Mapping[str, str], marks: Mapping[str, Mark], *, settled: bool = True) -> list[str]:
        return [name for name, made_by in wanted.items() if not self._is_made(name, marks.get(name), made_by, settled)]

    def _is_made(self, name: str, mark: Mark | None, made_by: str, settled: bool) -> bool:
        if mark is None or mark.fingerprint != made_by or (settled and not mark.settled):
            return False
        return not self._files.fault(self._path(name), mark)

    def _keep_damaged(self, pending: Sequence[str], marks: Mapping[str, Mark]) -> None:
        """Keep files that somebody or something has changed, before others take their names, and say so."""
        found = {
            name: fault
            for name in pending
            if (mark := marks.get(name)) and (fault := self._files.fault(self._stored(name), mark))
        }
        self._damaged = self._damaged - set(pending) | set(found)
        kept = [
            keep_aside(self._stored(name), side(self.folder, DAMAGED)) for name in found if self._stored(name).exists()
        ]
        for name, fault in list(found.items())[:1]:
            logger.warning(
                "%s %s%s. What is damaged is made anew, from its inputs and from what was paid for%s.",
                self._stored(name),
                fault,
                f", and {len(found) - 1} more files of this table are not what was written" if len(found) > 1 else "",
                f"; as it was found it is kept: {kept[0]}" if kept else "",
            )

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
        delete_for_good(side(self.folder, COMPLETE))

    def _complete(self, recipe: Recipe, marks: Mapping[str, Mark]) -> None:
        names = list(recipe.fingerprints)
        recipe.check(row for name in names for row in self._rows(name, marks[name]))
        with self._whole_file(side(self.folder, COMPLETE)) as file:
            file.write(orjson.dumps({name: sealed(name, marks[name]) for name in names}))

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
        for kind in (OPEN, RETIRED):
            make_folder(side(self.folder, kind))
        return self.scratch(name)

    def _earlier(self, name: str) -> Iterator[Row]:
        """Rows as they were last written, as far as they can be read: they may be why the shard is made again.

        In either format, since a table whose format was changed holds what was paid for in the former one. A kill may
        have left both; what is said last is newer.
        """
        for path in (self._former(name), self._path(name)):
            yield from readable_rows(path)

    def _read(self, name: str, columns: Sequence[str] | None = None) -> Iterator[Row]:
        return read_rows(self._stored(name), columns)

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
        size = path.stat().st_size
        mark = Mark(made_by, digest.hexdigest()[:32], count, size, finished.settled, file_checksum(path))
        with self._whole_file(self._mark_path(finished.id)) as file:
            file.write(orjson.dumps(sealed(finished.id, mark)))
        self._files.note(path, mark)
        return mark


def _make_one(store: TableStore, recipe: MappedShards, name: str) -> Mark:
    return store._write(Finished(name, recipe.make(name)), store._wanted(recipe)[name])


def _json_of(path: Path) -> object:
    """Content of a file of JSON; None for one that is not there, or holds none."""
    try:
        return orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None


def _are_all(names: Collection[str]) -> bool:
    """Whether these are all the shards of a table."""
    return _splits(names) == {f"{len(names):05d}"}


def shard_count(folder: Path) -> int:
    """In how many shards the table of a folder is split, finished or only begun; 0 where there is none."""
    places = (folder, side(folder, MADE), side(folder, OPEN))
    names = (path.stem for place in places for path in place.glob("shard-*-of-*.*"))
    return next((int(split) for name in names for split in _splits([name]) if split.isdigit()), 0)


def _splits(names: Iterable[str]) -> set[str]:
    """In how many shards the tables of these shards are split; one number, unless tables were mixed up."""
    return {name.rpartition("-of-")[2] for name in names}
