"""A shard's rows in a file of lines or of Parquet, written and read piece by piece, however long their texts are."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from omr_kedro.shards.batches import Most
from omr_kedro.shards.files import whole_lines
from omr_kedro.shards.recipes import Row

Format = Literal["jsonl", "parquet"]
FORMATS: tuple[Format, ...] = ("jsonl", "parquet")

# Rows checked and written at once. A batch is in memory four times over (rows, Arrow, lines, bytes of the file), once
# for each lane of a job. Short rows are cheaper in larger batches, as columns more than as lines.
BATCH: dict[Format, Most] = {"jsonl": Most(rows=128, bytes=1 << 18), "parquet": Most(rows=1024, bytes=1 << 18)}

# A row group lies in memory until it is whole, once as rows and once encoded; small groups cost every reader. With
# twice as much, the memory of a job that settles long replies differs by a quarter from run to run.
_ROW_GROUP = Most(rows=1024, bytes=1 << 21)
# The writer looks at a page's size each time it has taken so many values: 64 of 20 kB are a page of about a megabyte,
# which is what a reader holds.
_VALUES_AT_ONCE = 64
_READ = Most(rows=1024, bytes=1 << 20)
_READ_BUFFER = 1 << 16

Write = Callable[[pa.RecordBatch, bytes], object]

UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError)
"""Errors of reading a damaged file; `is_damage` tells those of the system from them."""


@contextmanager
def writing(file: IO[bytes], format: Format, schema: pa.Schema) -> Iterator[Write]:
    """Give the function that writes a checked batch, of which the same rows are given as lines."""
    if format == "jsonl":
        yield lambda _batch, lines: file.write(lines)
        return
    with pq.ParquetWriter(file, schema, compression="zstd", write_batch_size=_VALUES_AT_ONCE) as parquet:
        group = _RowGroup(parquet)
        yield lambda batch, _lines: group.add(batch)
        group.write()


class _RowGroup:
    """Batches that become one row group."""

    def __init__(self, parquet: pq.ParquetWriter) -> None:
        self._parquet = parquet
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self._batches.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= _ROW_GROUP.rows or self._bytes >= _ROW_GROUP.bytes:
            self.write()

    def write(self) -> None:
        if self._batches:
            self._parquet.write_table(pa.Table.from_batches(self._batches))
            self._batches, self._rows, self._bytes = [], 0, 0


def read_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Stream the rows of a file, with these columns or with all; about a megabyte of them is in memory.

    Columns that the file has not are None, or not there.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if path.suffix == ".jsonl":
        yield from _read_lines(path, columns)
    else:
        for batch in read_batches(path, columns):
            yield from batch.to_pylist()


def is_damage(error: BaseException) -> bool:
    """Whether an error of reading speaks of the file and its disk, and not of the system (too many open files, …)."""
    return isinstance(error, UNREADABLE) and (not isinstance(error, OSError) or error.errno in {None, errno.EIO})


def readable_rows(path: Path) -> Iterator[Row]:
    """Stream those rows of a damaged file that can be read: whole lines, or row groups as far as they go.

    They may hold something else than was written. None when there is no file.

    Raises:
        OSError: of the system. It says nothing of the rows.
    """
    if not path.exists():
        return
    if path.suffix == ".jsonl":
        with _as_far_as_it_goes():
            yield from whole_lines(path)
        return
    groups = 0
    with _as_far_as_it_goes(), pq.ParquetFile(path) as parquet:
        groups = parquet.metadata.num_row_groups
    for number in range(groups):
        with _as_far_as_it_goes():
            for batch in read_batches(path, groups=[number]):
                yield from batch.to_pylist()


@contextmanager
def _as_far_as_it_goes() -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        if not is_damage(error):
            raise


def read_column(path: Path, name: str) -> Iterator[Any]:
    """Stream the values of one column, passing over the others as cheaply as the format can.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if path.suffix == ".jsonl":
        yield from _read_column_of_lines(path, name)
    else:
        for batch in read_batches(path, [name]):
            yield from batch.column(0).to_pylist()


def read_batches(
    path: Path, columns: Sequence[str] | None = None, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """Stream a Parquet file, or some row groups of it; batches hold as many rows as are a megabyte by the metadata."""
    # Neither a row group nor one of its columns is read as a whole, but page by page.
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BUFFER) as parquet:
        for number in range(parquet.metadata.num_row_groups) if groups is None else groups:
            rows = _rows_at_once(parquet.metadata.row_group(number))
            yield from parquet.iter_batches(rows, row_groups=[number], columns=columns, use_threads=False)


def _rows_at_once(group: pq.RowGroupMetaData) -> int:
    a_row: int = group.total_byte_size // max(1, group.num_rows)
    return max(1, min(_READ.rows, _READ.bytes // max(1, a_row)))


def _read_lines(path: Path, columns: Sequence[str] | None) -> Iterator[Row]:
    with path.open("rb") as file:
        for line in file:
            row = orjson.loads(line)
            yield row if columns is None else {name: row.get(name) for name in columns}


def _read_column_of_lines(path: Path, name: str) -> Iterator[Any]:
    # A column that comes first, as ids do, is cut out of the line: its text is short, and need not be parsed with the
    # rest. A text with a backslash in it is left to the parser.
    start = b'{"%s":"' % name.encode()
    with path.open("rb") as file:
        for line in file:
            text, quote, _ = line[len(start) : len(start) + _SHORT].partition(b'"')
            if line.startswith(start) and quote and b"\\" not in text:
                yield text.decode()
            else:
                yield orjson.loads(line)[name]


_SHORT = 64
