"""Files that are visible whole or not at all, and a table that has one writer at a time."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from omr_kedro.shards.errors import TableBusyError


@contextmanager
def whole_file(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Write aside, sync, rename: readers see the old file or the new one, also after a power cut.

    An exception inside the block leaves the old file as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open(mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


def whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file's whole lines; lines that were cut or damaged are passed over.

    For files that a kill or a full disk may have cut. None when there is no file.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                row = orjson.loads(line) if line.endswith(b"\n") else None
            except orjson.JSONDecodeError:
                continue
            if isinstance(row, dict):
                yield row


def sync_folder(folder: Path) -> None:
    """Make renames and new files in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed writer left aside; only the holder of the folder's lock may call this."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. The kernel drops it when this process dies, however it dies.

    Raises:
        TableBusyError: when another process holds it; names that process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "_lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise TableBusyError(
                f"{folder} is being written by {holder}. Wait until that run has ended, or stop it; "
                "everything it finished is kept, and this run will take up from there."
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
