"""Files compared with what was written: bit rot and edits by hand are told, also where the size stays as it was.

Checksums are CRC-32 (`zlib`), the fastest that the standard library has: it finds every change of up to 32 bits in a
row, and overlooks one in four billion of the others. It is no protection against somebody who wants to deceive.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from omr_kedro.shards.batches import json_lines
from omr_kedro.shards.formats import UNREADABLE, is_damage, read_batches

Integrity = Literal["once", "always", "never"]
"""When a file is compared: once in a process (before it counts as made, or is first read), at each reading, never."""

_CHUNK = 1 << 18


def checksum(content: bytes) -> str:
    """8 hex digits."""
    return f"{zlib.crc32(content):08x}"


def file_checksum(path: Path) -> str:
    """The `checksum` of a file.

    Raises:
        OSError: it cannot be read.
    """
    value = 0
    buffer = memoryview(bytearray(_CHUNK))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            value = zlib.crc32(buffer[:size], value)
    return f"{value:08x}"


class Written(Protocol):
    """A file as it was written, by its mark."""

    @property
    def digest(self) -> str:
        """Of the rows."""
        ...

    @property
    def bytes(self) -> int:
        """Size of the file."""
        ...

    @property
    def checksum(self) -> str:
        """Of the file; empty where it is not known."""
        ...


class FileState(NamedTuple):
    """All that changes when a file is written or replaced, in any way but by a failing disk."""

    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> FileState | None:
        """The state of a file now; None where there is none."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


class Comparison:
    """Compares the files of a table with their marks, as often as is asked for."""

    def __init__(self, integrity: Integrity) -> None:
        self._integrity = integrity
        self._whole: dict[Path, tuple[FileState, str]] = {}
        """Files that were found to be as they were written, by what they were then."""

    @property
    def trusting(self) -> bool:
        """Whether nothing but sizes is looked at."""
        return self._integrity == "never"

    def note(self, path: Path, written: Written) -> None:
        """Take a file that this process has just written for whole."""
        if state := FileState.of(path):
            self._whole[path] = state, written.digest

    def fault(self, path: Path, written: Written) -> str:
        """The fault of a file, as the end of a sentence about it; empty where it is as it was written.

        Raises:
            OSError: of the system; it says nothing of the file.
        """
        state = FileState.of(path)
        if state is None:
            return "is gone"
        if state.size != written.bytes:
            return f"has {state.size:,} bytes, and {written.bytes:,} were written"
        if self.trusting:
            return ""
        if self._integrity == "once" and self._whole.get(path) == (state, written.digest):
            return ""
        if not _is_whole(path, written):
            return "holds other bytes than were written (a failing disk, or an edit by hand)"
        self._whole[path] = state, written.digest
        return ""


def _is_whole(path: Path, written: Written) -> bool:
    try:
        if written.checksum:
            return file_checksum(path) == written.checksum
        return _rows_digest(path) == written.digest
    except UNREADABLE as error:
        if not is_damage(error):
            raise
        return False


def _rows_digest(path: Path) -> str:
    digest = hashlib.sha256()
    for lines in _lines(path):
        digest.update(lines)
    return digest.hexdigest()[:32]


def _lines(path: Path) -> Iterator[bytes]:
    """The rows of a file as the lines over which the digest of its rows was made."""
    if path.suffix == ".jsonl":
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    else:
        for batch in read_batches(path):
            yield json_lines(batch.to_pylist(), batch)
