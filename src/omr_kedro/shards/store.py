"""A table on disk.

    <table>/shard-00003-of-00016.jsonl      rows (or .parquet)
    <table>/_made/shard-00003-of-00016.json how they were made, how many there are, and their digest
    <table>/_open/…  _retired/…             work of a shard that is being made; calls paid for that it no longer needs
    <table>/_complete.json                  all marks in one file, present when every shard is there
    <table>/_lock                           held by the one process that writes

A shard counts as made when its mark names the wanted fingerprint and the file has the marked size. The mark is written
after the file, so a kill between the two makes one shard again and never trusts half a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from omr_kedro.shards.errors import RowError, ShardCountError
from omr_kedro.shards.files import remove_leftovers, sole_writer, whole_file, whole_lines
from omr_kedro.shards.table import Finished, Making, Row, Scratch, Shard, Shards

Format = Literal["jsonl", "parquet"]

# Rows checked and written at once. A batch is in memory four times over (rows, Arrow, checked rows, bytes), so lines
# come in small ones; in Parquet a batch is a row group, and small groups would cost every reader.
_BATCH: dict[Format, int] = {"jsonl": 128, "parquet": 1024}


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known of a finished shard without reading it."""

    fingerprint: str
    digest: str
    rows: int
    bytes: int
    settled: bool


class TableStore:
    """Reads and writes one table's folder."""

    def __init__(self, folder: Path, format: Format, schema: pa.Schema) -> None:
        self.folder = folder
        self.format = format
        self.schema = schema

    @property
    def complete(self) -> bool:
        """Whether the last save went through to its end."""
        return (self.folder / "_complete.json").is_file()

    def shards(self) -> Shards:
        """The finished table.

        Raises:
            FileNotFoundError: when it was never finished, or is being made again.
        """
        if not self.complete:
            raise FileNotFoundError(f"{self.folder} is not finished; run the node that makes it")
        return Shards(
            Shard(name, mark.digest, mark.rows, partial(self._read, name)) for name, mark in self._marks().items()
        )

    def save(self, making: Making) -> int:
        """Make the shards whose fingerprint is new, write each as it comes; returns how many were written.

        Raises:
            TableBusyError: another process writes this table.
            ShardCountError: the table exists with another number of shards.
            RowError: a row does not fit the schema.
        """
        wanted = making.fingerprints
        with sole_writer(self.folder):
            marks = self._marks()
            self._check_count(set(marks), set(wanted))
            pending = [name for name, made_by in wanted.items() if not self._is_made(name, marks.get(name), made_by)]
            if pending or not self.complete:
                (self.folder / "_complete.json").unlink(missing_ok=True)
                remove_leftovers(self.folder)
                # Closed at once when a write fails: its maker may be spending money in another thread.
                with closing(making.finished(pending, self._scratch)) as made:
                    for finished in made:
                        marks[finished.id] = self._write(finished, wanted[finished.id])
                with whole_file(self.folder / "_complete.json") as file:
                    file.write(orjson.dumps({name: asdict(marks[name]) for name in wanted}))
        return len(pending)

    def head(self, count: int) -> list[Row]:
        """The first rows of the table, reading no more than it must; none when nothing is finished."""
        filled = (name for name, mark in self._marks().items() if mark.rows and self._path(name).exists())
        return list(islice((row for name in filled for row in self._read(name)), count))

    def _marks(self) -> dict[str, Mark]:
        """What is known of each shard that was ever written, by id."""
        try:
            known = orjson.loads((self.folder / "_complete.json").read_bytes())
        except FileNotFoundError:
            paths = sorted((self.folder / "_made").glob("*.json"))
            known = {path.stem: orjson.loads(path.read_bytes()) for path in paths}
        return {name: Mark(**mark) for name, mark in known.items()}

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.{self.format}"

    def _mark_path(self, name: str) -> Path:
        return self.folder / "_made" / f"{name}.json"

    def _is_made(self, name: str, mark: Mark | None, made_by: str) -> bool:
        if mark is None or not mark.settled or mark.fingerprint != made_by:
            return False
        try:
            return self._path(name).stat().st_size == mark.bytes
        except FileNotFoundError:
            return False

    def _check_count(self, existing: set[str], wanted: set[str]) -> None:
        if strays := existing - wanted:
            raise ShardCountError(
                f"{self.folder} holds {sorted(strays)[0]}, but this run splits tables into {len(wanted)} shards. "
                "Work that was paid for is found by shard: set the number of shards back, "
                "or choose another `workspace` in globals.yml for a fresh start."
            )

    def _scratch(self, name: str) -> Scratch:
        for kind in ("_open", "_retired"):
            (self.folder / kind).mkdir(parents=True, exist_ok=True)
        return Scratch(
            open=self.folder / "_open" / f"{name}.jsonl",
            retired=self.folder / "_retired" / f"{name}.jsonl",
            earlier=partial(self._earlier, name),
        )

    def _earlier(self, name: str) -> Iterator[Row]:
        """Rows as they were last written, as far as they can be read: they may be why the shard is made again."""
        if self.format == "jsonl":
            yield from whole_lines(self._path(name))
        elif self._path(name).exists():
            with suppress(pa.ArrowException):
                yield from self._read(name)

    def _read(self, name: str) -> Iterator[Row]:
        path = self._path(name)
        if self.format == "jsonl":
            with path.open("rb") as file:
                for line in file:
                    yield orjson.loads(line)
        else:
            with pq.ParquetFile(path) as parquet:
                for batch in parquet.iter_batches(batch_size=_BATCH["parquet"]):
                    yield from batch.to_pylist()

    def _write(self, finished: Finished, made_by: str) -> Mark:
        path = self._path(finished.id)
        digest = hashlib.sha256()
        count = 0
        with whole_file(path) as file, self._writer(file) as write:
            for rows in _batches(finished.rows, _BATCH[self.format]):
                batch = self._checked(rows)
                lines = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in batch.to_pylist())
                digest.update(lines)
                write(batch, lines)
                count += len(rows)
        mark = Mark(made_by, digest.hexdigest()[:32], count, path.stat().st_size, finished.settled)
        with whole_file(self._mark_path(finished.id)) as file:
            file.write(orjson.dumps(asdict(mark)))
        if finished.after:
            finished.after()
        return mark

    @contextmanager
    def _writer(self, file: IO[bytes]) -> Iterator[Any]:
        if self.format == "jsonl":
            yield lambda _batch, lines: file.write(lines)
        else:
            with pq.ParquetWriter(file, self.schema, compression="zstd") as parquet:
                yield lambda batch, _lines: parquet.write_batch(batch)

    def _checked(self, rows: list[Row]) -> pa.RecordBatch:
        if unknown := set().union(*rows) - set(self.schema.names):
            raise RowError(f"{self.folder.name}: columns {sorted(unknown)} are not in the table's schema")
        try:
            batch = pa.RecordBatch.from_pylist(rows, schema=self.schema)
        except (pa.ArrowException, TypeError) as error:
            raise RowError(f"{self.folder.name}: {_first_misfit(rows, self.schema)}: {error}") from error
        for field, column in zip(self.schema, batch.columns, strict=True):
            if not field.nullable and column.null_count:
                raise RowError(f"{self.folder.name}: column '{field.name}' must not be empty")
        return batch


def _batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch


def _first_misfit(rows: list[Row], schema: pa.Schema) -> str:
    for row in rows:
        for field in schema:
            try:
                pa.array([row.get(field.name)], type=field.type)
            except (pa.ArrowException, TypeError):
                return f"column '{field.name}' holds {type(row.get(field.name)).__name__}, not {field.type}"
    return "a row does not fit the schema"
