"""Rows laid aside in a file for a while, so that memory need not hold them.

None of these files outlives its use: what a kill leaves has the name of what `files.remove_leftovers` deletes, or none.
Rows are kept as JSON holds them, which is enough for what a table holds, but for numbers that are none (NaN).
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import IO

import orjson

from omr_kedro.shards.files import make_folder
from omr_kedro.shards.recipes import Row, Scratch


class Spool:
    """Rows to be taken once, in the order in which they were added. No file is open between two calls."""

    def __init__(self, scratch: Scratch) -> None:
        self._beside = scratch.open
        self._path: Path | None = None
        self._buffer = bytearray()
        self.bytes = 0
        """Of all rows that were added."""

    @property
    def buffered(self) -> int:
        """Bytes in memory, until the next `flush`."""
        return len(self._buffer)

    def add(self, row: Row) -> int:
        """Lay a row aside; returns how many bytes that takes.

        Raises:
            TypeError: JSON cannot hold it.
        """
        line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
        self._buffer += line
        self.bytes += len(line)
        return len(line)

    def flush(self) -> None:
        """Put into the file what is in memory; there is a file only once there is a row."""
        if not self._buffer:
            return
        if self._path is None:
            make_folder(self._beside.parent)
            # A name that no other process has: it may lay aside what it makes of the same shard and another input.
            descriptor, path = tempfile.mkstemp(".tmp", f".{self._beside.name}.", self._beside.parent)
            os.close(descriptor)
            self._path = Path(path)
        with self._path.open("ab") as file:
            file.write(self._buffer)
        self._buffer = bytearray()

    def take(self) -> Iterator[Row]:
        """The rows that were flushed, none of which can be taken again.

        Raises:
            FileNotFoundError: somebody has deleted them.
        """
        if self._path is None:
            return iter(())
        file = self._path.open("rb")
        self.delete()
        return _rows(file)

    def delete(self) -> None:
        """Delete the file, if there is one."""
        if self._path:
            self._path.unlink(missing_ok=True)


class RowIndex:
    """Rows found by a key, in a file without a name; memory holds the keys and where their rows are."""

    def __init__(self, rows: Iterable[tuple[Hashable, Row]], folder: Path) -> None:
        make_folder(folder)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by `close`)
        self._places: dict[Hashable, list[tuple[int, int]]] = defaultdict(list)
        place = 0
        for key, row in rows:
            line = orjson.dumps(row)
            self._file.write(line)
            self._places[key].append((place, len(line)))
            place += len(line)

    def __getitem__(self, key: Hashable) -> list[Row]:
        """The rows with this key in their order; none for a key that is not there."""
        return [self._read(*place) for place in self._places.get(key, ())]

    def _read(self, place: int, size: int) -> Row:
        self._file.seek(place)
        row: Row = orjson.loads(self._file.read(size))
        return row

    def close(self) -> None:
        """Let go of the file, and so of the rows."""
        self._file.close()


def _rows(file: IO[bytes]) -> Iterator[Row]:
    with file:
        for line in file:
            yield orjson.loads(line)
