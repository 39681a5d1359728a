"""Finding rows by the beginning of an id, in tables that have no index."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import pyarrow.compute as pc

from omr_kedro.shards.errors import DamagedTableError
from omr_kedro.shards.formats import UNREADABLE, is_damage, read_batches
from omr_kedro.shards.recipes import Row
from omr_kedro.shards.store import TableStore


def find_rows(store: TableStore, column: str, prefix: str, wanted: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """The rows whose `column` begins with `prefix`, each with the shard that it is in.

    Lines are searched as bytes and only those that match are parsed, which is as fast as the disk. Of Parquet, the
    wanted columns are read. Memory holds the rows that match, one at a time.

    Args:
        store: the table; it need not be finished.
        column: holds ids.
        prefix: hexadecimal digits.
        wanted: columns of the rows; all of them for a table of lines.

    Raises:
        DamagedTableError: a file cannot be read.
    """
    for path in store.files():
        rows = _in_lines(path, column, prefix) if path.suffix == ".jsonl" else _in_parquet(path, column, prefix, wanted)
        try:
            yield from ((path.stem, row) for row in rows)
        except UNREADABLE as error:
            if not is_damage(error):
                raise
            raise DamagedTableError(f"{path} cannot be read. Run kedro run again: it makes the shard anew.") from error


def _in_lines(path: Path, column: str, prefix: str) -> Iterator[Row]:
    if not path.stat().st_size:
        return  # nothing that could be mapped
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        # No text can hold this: inside a JSON string, quotes stand behind a backslash.
        needle = f'"{column}":"{prefix}'.encode()
        place = content.find(needle)
        while place >= 0:
            end = content.find(b"\n", place)
            yield orjson.loads(content[content.rfind(b"\n", 0, place) + 1 : end])
            place = content.find(needle, end)


def _in_parquet(path: Path, column: str, prefix: str, wanted: Sequence[str]) -> Iterator[Row]:
    for batch in read_batches(path, wanted):
        yield from batch.filter(pc.starts_with(batch.column(column), prefix)).to_pylist()
