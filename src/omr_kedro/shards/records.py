"""Records of JSON Lines and Parquet files that somebody else wrote: streamed, distrusted, and cut into spans.

A record that cannot be used is not an exception but a `Record` that says why, so that a reader can report all of them
with file and line, and decide whether the rest is worth having.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import IO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from omr_kedro.shards.errors import BadInputError
from omr_kedro.shards.recipes import Row

# Rows in memory at once: few, since some threads are a hundred times as long as others.
_PARQUET_BATCH = 64
_PARQUET_BUFFER = 64 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a file: its fields, or what is wrong with it."""

    where: str
    """File and line (or row), as `threads.jsonl:12`."""
    fields: Row | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Records of one file that stand together: bytes of JSON Lines, rows of Parquet."""

    file: Path
    start: int
    stop: int
    first: int = 1
    """Number of the first line or row, for people."""

    def records(self, columns: Sequence[str] | None = None) -> Iterator[Record]:
        """Stream the records; `columns` (dotted paths) spare Parquet the others."""
        return KINDS[self.file.suffix].read(self, columns)


@dataclass(frozen=True)
class Kind:
    """How files of one suffix are read."""

    whole: Callable[[Path], Span]
    read: Callable[[Span, Sequence[str] | None], Iterator[Record]]
    split: Callable[[Span, Sequence[float]], Iterator[Span]]
    """Takes a whole file and where to cut it, as rising shares of its size; gives one span more than there are cuts."""
    count: Callable[[Path], int]


def _whole_jsonl(path: Path) -> Span:
    return Span(path, 0, path.stat().st_size)


def _read_jsonl(span: Span, _columns: Sequence[str] | None) -> Iterator[Record]:
    with span.file.open("rb") as file:
        file.seek(span.start)
        position, number = span.start, span.first
        while position < span.stop and (line := file.readline()):
            if line.strip():
                yield _parse(f"{span.file.name}:{number}", line)
            position += len(line)
            number += 1


def _split_jsonl(span: Span, cuts: Sequence[float]) -> Iterator[Span]:
    """Cut at the beginnings of lines, and count the lines on the way: a person looks for a line by its number."""
    with span.file.open("rb") as file:
        start, first = 0, 1
        for cut in [*cuts, 1.0]:
            stop = max(start, _line_start(file, int(cut * span.stop)))
            yield Span(span.file, start, stop, first)
            first += _count_lines(file, start, stop)
            start = stop


def _line_start(file: IO[bytes], position: int) -> int:
    if not position:
        return 0
    file.seek(position - 1)
    file.readline()
    return file.tell()


def _count_lines(file: IO[bytes], start: int, stop: int) -> int:
    file.seek(start)
    lines = 0
    while (left := stop - file.tell()) > 0:
        lines += file.read(min(left, 1 << 20)).count(b"\n")
    return lines


def _parse(where: str, line: bytes) -> Record:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Record(where, None, _explain(line, error))
    if not isinstance(fields, dict):
        return Record(where, None, f"a JSON object is expected, this is a {type(fields).__name__}")
    return Record(where, fields)


def _explain(line: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return f"not UTF-8 (byte {wrong.start}); convert the file, for example with iconv"
    if _holds_surrogate(line):
        return "holds half of a surrogate pair, which is no character; replace it where the file was written"
    return f"malformed JSON ({error.msg}, column {error.colno}); one whole object must stand on a line"


def _holds_surrogate(line: bytes) -> bool:
    try:
        json.dumps(json.loads(line), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except ValueError:
        return False
    return False


def _count_jsonl(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _whole_parquet(path: Path) -> Span:
    with _parquet(path) as file:
        return Span(path, 0, file.metadata.num_rows)


def _count_parquet(path: Path) -> int:
    return _whole_parquet(path).stop


def _split_parquet(span: Span, cuts: Sequence[float]) -> Iterator[Span]:
    stops = [*_at_row_groups(span, [round(cut * span.stop) for cut in cuts]), span.stop]
    for start, stop in zip([0, *stops], stops, strict=False):
        yield Span(span.file, start, stop, start + 1)


def _at_row_groups(span: Span, cuts: Sequence[int]) -> Iterator[int]:
    """The cuts, at the nearest end of a row group where one is near: amid one, all before must be decoded first."""
    with _parquet(span.file) as file:
        groups = (file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups))
        ends = list(accumulate(groups))
    near = span.stop / (len(cuts) + 1) / 2
    for cut in cuts:
        nearest = min(ends, key=lambda end: abs(end - cut), default=cut)
        yield nearest if abs(nearest - cut) < near else cut


def _read_parquet(span: Span, columns: Sequence[str] | None) -> Iterator[Record]:
    with _parquet(span.file) as file:
        for first, batch in _parquet_batches(file, span, columns):
            before = max(0, span.first - first)
            wanted = batch.slice(before, span.stop + 1 - first - before)
            for row, record in enumerate(_fields_of(wanted), start=first + before):
                yield Record(f"{span.file.name}:row {row}", *record)


def _parquet_batches(
    file: pq.ParquetFile, span: Span, columns: Sequence[str] | None
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches that hold the span, each with the number of its first row."""
    groups, skipped = _row_groups(file, span)
    first = span.first - skipped
    # One after the other: asked for several, Arrow holds the end of one together with the beginning of the next.
    for group in groups:
        for batch in file.iter_batches(batch_size=_PARQUET_BATCH, row_groups=[group], columns=columns):
            if first > span.stop:
                return
            yield first, batch
            first += batch.num_rows


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        # Neither a row group nor one of its columns is read as a whole, but piece by piece.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=_PARQUET_BUFFER) as file:
            yield file
    except pa.ArrowException as error:
        raise BadInputError(f"{path} cannot be read as Parquet: {error}") from error


def _row_groups(file: pq.ParquetFile, span: Span) -> tuple[list[int], int]:
    """The row groups that hold the span, and how many rows stand in them before it."""
    groups: list[int] = []
    skipped = begin = 0
    for group in range(file.metadata.num_row_groups):
        end = begin + file.metadata.row_group(group).num_rows
        if begin < span.stop and end > span.start:
            if not groups:
                skipped = span.start - begin
            groups.append(group)
        begin = end
    return groups, skipped


def _fields_of(batch: pa.RecordBatch) -> Iterator[tuple[Row | None, str]]:
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError as error:
        if batch.num_rows == 1:
            yield None, f"not UTF-8 (byte {error.start} of a text)"
            return
        for row in range(batch.num_rows):
            yield from _fields_of(batch.slice(row, 1))
    else:
        yield from ((row, "") for row in rows)


_JSONL = Kind(_whole_jsonl, _read_jsonl, _split_jsonl, _count_jsonl)
KINDS = {
    ".jsonl": _JSONL,
    ".jl": _JSONL,
    ".parquet": Kind(_whole_parquet, _read_parquet, _split_parquet, _count_parquet),
}
