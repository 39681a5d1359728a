"""Records of JSON Lines and Parquet files that somebody else wrote: streamed, distrusted, and cut into spans.

A record that cannot be used is not an exception but a `Record` that says why, so that a reader can report all of them
with file and line, and decide whether the rest is worth having.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from omr_kedro.shards.errors import BadInputError
from omr_kedro.shards.other_kinds import remedy
from omr_kedro.shards.printable import printable_name
from omr_kedro.shards.recipes import Row

MAX_RECORD_BYTES = 32 << 20
"""The longest line, and the largest average row of a row group. A thread of a thousand posts has a few megabytes; to
read a record takes several times its size in memory."""
MAX_NESTING = 254
"""Of objects and lists in a record: as deep as `orjson` writes, and so as the fields can be kept with a thread."""
_PIECE = 1 << 20
# Rows in memory at once: few, since some threads are a hundred times as long as others; fewer still where one value
# might be most of a row group, as a dictionary repeats it in every row.
_PARQUET_BATCH = 64
_LEAST_BATCH = 8
_BATCH_BYTES = 256 << 20
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

    @property
    def name(self) -> str:
        """The file's name, for people."""
        return printable_name(self.file.name)

    def records(self, columns: Sequence[str] | None = None, *, checked: bool = True) -> Iterator[Record]:
        """Stream the records; `columns` (dotted paths) spare Parquet the others.

        Args:
            columns: all of them when None.
            checked: refuse records of JSON Lines in which a key stands twice or that are nested too deep to be written
                again. Costs as much as to read them; without it, the last of such keys counts.

        Raises:
            BadInputError: the file cannot be read at all, or no further.
        """
        return KINDS[self.file.suffix].read(self, columns, checked)


@dataclass(frozen=True)
class Kind:
    """How files of one suffix are read."""

    whole: Callable[[Path], Span]
    read: Callable[[Span, Sequence[str] | None, bool], Iterator[Record]]
    split: Callable[[Span, Sequence[float]], Iterator[Span]]
    """Takes a whole file and where to cut it, as rising shares of its size; gives one span more than there are cuts."""
    count: Callable[[Path], int]


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """The file, for reading.

    Raises:
        BadInputError: the system refuses to open it, or to read on.
    """
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> BadInputError:
    """The error that tells a person why the system does not let a file be read."""
    return BadInputError(
        f"{printable_name(path)} cannot be read: {error.strerror or type(error).__name__}. See who may read it "
        "(`ls -l`), and whether the disk is whole."
    )


def _whole_jsonl(path: Path) -> Span:
    return Span(path, 0, path.stat().st_size)


def _read_jsonl(span: Span, _columns: Sequence[str] | None, checked: bool) -> Iterator[Record]:
    name = span.name
    with opened(span.file) as file:
        file.seek(span.start)
        for number, line in enumerate(_lines(file, span.stop), start=span.first):
            if line.strip():
                record = _parse(f"{name}:{number}", line)
                yield _checked(record, line) if checked and record.fields is not None else record


def _lines(file: IO[bytes], stop: int) -> Iterator[bytes]:
    """The lines that begin before `stop`; of one that is longer than a record may be, one byte more than that."""
    while file.tell() < stop and (line := file.readline(MAX_RECORD_BYTES + 1)):
        if not line.endswith(b"\n"):
            _skip_line(file)
        yield line


def _skip_line(file: IO[bytes]) -> None:
    while (piece := file.readline(_PIECE)) and not piece.endswith(b"\n"):
        pass


def _split_jsonl(span: Span, cuts: Sequence[float]) -> Iterator[Span]:
    """Cut at the beginnings of lines, and count the lines on the way: a person looks for a line by its number."""
    with opened(span.file) as file:
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
    _skip_line(file)
    return file.tell()


def _count_lines(file: IO[bytes], start: int, stop: int) -> int:
    file.seek(start)
    lines = 0
    while (left := stop - file.tell()) > 0:
        # A file that shrinks meanwhile has less to read than it said.
        if not (piece := file.read(min(left, _PIECE))):
            break
        lines += piece.count(b"\n")
    return lines


def _parse(where: str, line: bytes) -> Record:
    if len(line) > MAX_RECORD_BYTES:
        return Record(where, None, f"the line is longer than {MAX_RECORD_BYTES >> 20} MB; is it one record?")
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Record(where, None, _explain(line, error))
    if not isinstance(fields, dict):
        return Record(where, None, f"a JSON object is expected, this is a {type(fields).__name__}.{_for_array(line)}")
    return Record(where, fields)


def _checked(record: Record, line: bytes) -> Record:
    try:
        again = orjson.dumps(record.fields)
    except TypeError:
        return Record(record.where, None, _TOO_DEEP)
    # Of keys that stand there twice, only the last was read. A mark that was written as a code makes up for no two.
    if line.count(b'"') != again.count(b'"') and (repeated := _repeated_key(line)):
        return Record(record.where, None, f"the key '{printable_name(repeated)}' stands there twice; which one counts?")
    return record


_TOO_DEEP = f"nested more than {MAX_NESTING} levels deep"


def _repeated_key(line: bytes) -> str | None:
    """A key that stands in one object of a record more than once."""
    repeated: list[str] = []

    def look_at(pairs: list[tuple[str, Any]]) -> None:
        repeated.extend(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)

    json.loads(line, object_pairs_hook=look_at)
    return next(iter(repeated), None)


def _explain(line: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return f"not UTF-8 (byte {wrong.start}); convert the file, for example with iconv"
    if error.msg.startswith("depth limit"):
        return _TOO_DEEP
    if _holds_surrogate(line):
        return "holds half of a surrogate pair, which is no character; replace it where the file was written"
    return (
        f"malformed JSON ({error.msg}, column {error.colno}); one whole object must stand on a line.{_for_array(line)}"
    )


def _for_array(line: bytes) -> str:
    return remedy(".json") if line.lstrip().startswith(b"[") else ""


def _holds_surrogate(line: bytes) -> bool:
    try:
        json.dumps(json.loads(line), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def _count_jsonl(path: Path) -> int:
    with opened(path) as file:
        return sum(1 for line in _lines(file, path.stat().st_size) if line.strip())


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


def _read_parquet(span: Span, columns: Sequence[str] | None, _checked: bool) -> Iterator[Record]:
    name = span.name
    with _parquet(span.file) as file:
        _check_schema(span, file.schema_arrow)
        for first, batch in _parquet_batches(file, span, columns):
            before = max(0, span.first - first)
            wanted = batch.slice(before, span.stop + 1 - first - before)
            for row, record in enumerate(_fields_of(wanted), start=first + before):
                yield Record(f"{name}:row {row}", *record)


def _parquet_batches(
    file: pq.ParquetFile, span: Span, columns: Sequence[str] | None
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches that hold the span, each with the number of its first row."""
    groups, skipped = _row_groups(file, span)
    first = span.first - skipped
    # One after the other: asked for several, Arrow holds the end of one together with the beginning of the next.
    for group in groups:
        rows = _batch_rows(file, group, span, columns)
        for batch in file.iter_batches(batch_size=rows, row_groups=[group], columns=columns):
            if first > span.stop:
                return
            yield first, batch
            first += batch.num_rows


def _check_schema(span: Span, schema: pa.Schema) -> None:
    if repeated := next((name for name, times in Counter(schema.names).items() if times > 1), None):
        raise BadInputError(
            f"{span.name}: the column '{printable_name(repeated)}' is there twice. Rename or leave out one of them."
        )


def _batch_rows(file: pq.ParquetFile, group: int, span: Span, columns: Sequence[str] | None) -> int:
    """How many rows of a row group may be in memory at once.

    Raises:
        BadInputError: not one, by what the file says of its size.
    """
    about = file.metadata.row_group(group)
    chunks = (about.column(number) for number in range(about.num_columns))
    size = sum(chunk.total_uncompressed_size for chunk in chunks if _is_wanted(chunk.path_in_schema, columns))
    if size > MAX_RECORD_BYTES * max(1, about.num_rows):
        raise BadInputError(
            f"{span.name}: row group {group + 1} has {size >> 20:,} MB in {about.num_rows:,} rows. A record may have "
            f"{MAX_RECORD_BYTES >> 20} MB; leave out what does not belong to it."
        )
    return max(_LEAST_BATCH, min(_PARQUET_BATCH, int(_BATCH_BYTES // max(1, size))))


def _is_wanted(path: str, columns: Sequence[str] | None) -> bool:
    return columns is None or any(path == column or path.startswith(f"{column}.") for column in columns)


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        # Neither a row group nor one of its columns is read as a whole, but piece by piece.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=_PARQUET_BUFFER) as file:
            yield file
    except (pa.ArrowException, OSError, OverflowError, RecursionError) as error:
        if isinstance(error, OSError) and error.errno:
            raise unreadable(path, error) from error
        reason = printable_name(" ".join(str(error).split())).rstrip(".")
        raise BadInputError(
            f"{printable_name(path)} cannot be read as Parquet: {reason}. Fetch or write it again."
        ) from error


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
    except (ValueError, OverflowError) as error:
        if batch.num_rows == 1:
            yield None, _unrepresentable(error)
            return
        for row in range(batch.num_rows):
            yield from _fields_of(batch.slice(row, 1))
    else:
        # Arrow reads no types of more than 100 levels.
        yield from ((row, "") for row in rows)


def _unrepresentable(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 (byte {error.start} of a text)"
    return "holds a date or a number that is out of range, or a time zone that is not known"


_JSONL = Kind(_whole_jsonl, _read_jsonl, _split_jsonl, _count_jsonl)
KINDS = {
    ".jsonl": _JSONL,
    ".jl": _JSONL,
    ".parquet": Kind(_whole_parquet, _read_parquet, _split_parquet, _count_parquet),
}
