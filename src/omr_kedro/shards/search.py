"""Finding rows by the beginning of an id, in tables that have no index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import pyarrow.compute as pc
import pyarrow.parquet as pq

from omr_kedro.shards.recipes import Row
from omr_kedro.shards.store import TableStore


def find_rows(store: TableStore, column: str, prefix: str, wanted: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """The rows whose `column` begins with `prefix`, each with the shard that it is in.

    Lines are searched as bytes and only those that match are parsed, which is as fast as the disk. Of Parquet, the
    wanted columns are read. A shard is in memory at a time.

    Args:
        store: the table; it need not be finished.
        column: holds ids.
        prefix: hexadecimal digits.
        wanted: columns of the rows; all of them for a table of lines.
    """
    for path in sorted(store.folder.glob(f"shard-*.{store.format}")):
        rows = _in_lines(path, column, prefix) if store.format == "jsonl" else _in_parquet(path, column, prefix, wanted)
        for row in rows:
            yield path.stem, row


def _in_lines(path: Path, column: str, prefix: str) -> Iterator[Row]:
    content = path.read_bytes()
    # No text can hold this: inside a JSON string, quotes stand behind a backslash.
    needle = f'"{column}":"{prefix}'.encode()
    place = content.find(needle)
    while place >= 0:
        end = content.find(b"\n", place)
        yield orjson.loads(content[content.rfind(b"\n", 0, place) + 1 : end])
        place = content.find(needle, end)


def _in_parquet(path: Path, column: str, prefix: str, wanted: Sequence[str]) -> Iterator[Row]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=list(wanted)):
            yield from batch.filter(pc.starts_with(batch.column(column), prefix)).to_pylist()
