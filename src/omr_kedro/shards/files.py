"""Files that are visible whole or not at all, and a table that has one writer at a time."""

from __future__ import annotations

import errno
import fcntl
import filecmp
import logging
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import IO, Any

import orjson

from omr_kedro.shards.errors import DiskFullError, TableBusyError
from omr_kedro.shards.printable import printable

logger = logging.getLogger(__name__)

LOCK = ".lock"
"""File of a folder whose lock makes it one writer's; see `side_files`."""

_LEASE_POLL_S = 0.5
_LONGEST_NAME = 200
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


@contextmanager
def whole_file(path: Path, mode: str = "wb", *, durable: bool = True) -> Iterator[IO[Any]]:
    """Write aside, sync, rename: readers see the old file or the new one, also after a power cut if it is durable.

    An exception inside the block leaves the old file as it was.
    """
    make_folder(path.parent)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open(mode) as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    if durable:
        sync_folder(path.parent)


def whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file's whole lines; lines that were cut or damaged are passed over.

    For files that a kill or a full disk may have cut. None when there is no file.
    """
    return (row for row, _, _ in whole_lines_at(path))


def whole_lines_at(path: Path) -> Iterator[tuple[dict[str, Any], int, int]]:
    """As `whole_lines`, each object with its place: offset and size in bytes, the byte that ends the line included.

    Also found are the objects of lines between which the line's end was damaged.
    """
    if not path.exists():
        return
    offset = 0
    with path.open("rb") as file:
        for line in file:
            if (row := _object(line)) is not None and line.endswith(b"\n"):
                yield row, offset, len(line)
            else:
                yield from _run_together(line, offset)
            offset += len(line)


# Inside of a JSON string a quote stands behind a backslash: this is no part of a text.
_JOINT = re.compile(rb"\}.(?=\{\"|$)", re.DOTALL)
_MOST_JOINTS = 100  # Each is a try to parse what stands before it.


def _run_together(line: bytes, offset: int) -> Iterator[tuple[dict[str, Any], int, int]]:
    start = 0
    for joint in islice(_JOINT.finditer(line), _MOST_JOINTS):
        if (row := _object(line[start : joint.start() + 1])) is not None:
            yield row, offset + start, joint.end() - start
            start = joint.end()


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def make_folder(folder: Path) -> None:
    """Make a folder and those above it durable: a file that was synced is lost with a folder that was not."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def delete_for_good(path: Path) -> None:
    """Delete a file, if it is there, so that no power cut brings it back; others may be deleting it as well."""
    if path.exists():
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def keep_aside(path: Path, folder: Path) -> Path:
    """Give a file that will be replaced a second name in a folder, and return it; never the name of another file.

    Where the file system has no links, a copy.
    """
    make_folder(folder)
    for number in count(1):
        aside = folder / (path.name if number == 1 else f"{path.stem}.{number}{path.suffix}")
        try:
            os.link(path, aside)
        except FileExistsError:
            if filecmp.cmp(path, aside, shallow=False):  # a run that was killed has done it already
                return aside
            continue
        except OSError:
            if aside.exists():
                continue
            shutil.copy2(path, aside)
        sync_folder(folder)
        return aside
    raise AssertionError("numbers do not end")


def last_writer(folder: Path) -> str:
    """The process that last held the lock of a folder, be it at work or not; empty for this one, and for none."""
    try:
        signed = (folder / LOCK).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
    return "" if signed.startswith(_me()) else printable(signed[:_LONGEST_NAME])


def sync_folder(folder: Path) -> None:
    """Make renames and new files in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Delete what a killed writer left aside, in the folder and those below it.

    Of all files, or of those whose name begins with `name`. Only who holds the lock of the folder, or the lease of what
    `name` stands for, may call this.
    """
    for path in folder.rglob(f".{name}*.tmp"):
        path.unlink(missing_ok=True)


@contextmanager
def room_for(what: Path) -> Iterator[None]:
    """Explain a disk that takes no more of `what`.

    Raises:
        DiskFullError: for an `OSError` that says so.
    """
    try:
        yield
    except OSError as error:
        if full := disk_full(error, str(what)):
            raise full from error
        raise


def disk_full(error: OSError, what: str) -> DiskFullError | None:
    """The error for a person whose disk refused `what`; None when it is not for want of room."""
    if error.errno not in _NO_ROOM:
        return None
    remedy = "Make room (or have your quota raised)"
    if error.errno == errno.EROFS:
        remedy = "Let the file system be written to (it is mounted read-only), or name another place"
    return DiskFullError(
        f"{what} cannot be written: {error.strerror}. All that was finished before is kept. {remedy}, and run the same "
        "command again."
    )


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock alone. The kernel drops it when this process dies, however it dies.

    Raises:
        TableBusyError: when another process holds it; names that process.
    """
    with _locked(folder, fcntl.LOCK_EX):
        yield


@contextmanager
def fellow_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock together with others that write other shards; each shard has a `lease` of its own.

    Raises:
        TableBusyError: when a `sole_writer` holds it.
    """
    with _locked(folder, fcntl.LOCK_SH):
        yield


@contextmanager
def lease(path: Path) -> Iterator[None]:
    """Hold what the file at `path` stands for alone; wait for whoever holds it, since that process is at work on it.

    The file is there only while the lease is held, or after a kill.
    """
    make_folder(path.parent)
    told = False
    while True:
        with path.open("a+", encoding="utf-8", errors="replace") as file:
            if not _try_lock(file, fcntl.LOCK_EX):
                if not told:
                    logger.warning("%s is held by %s; waiting for it.", path, _holder(file))
                told = True
                time.sleep(_LEASE_POLL_S)
                continue
            # Its holder removes the file, so what was locked may be a file that nobody else will ever see.
            if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                continue
            _sign(file)
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    make_folder(folder)
    with (folder / LOCK).open("a+", encoding="utf-8", errors="replace") as file:
        if not _try_lock(file, kind):
            raise TableBusyError(
                f"{folder} is being written by {_holder(file)}. Wait until that run has ended, or stop it; "
                "everything it finished is kept, and this run will take up from there."
            )
        _sign(file)
        yield


def _try_lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EAGAIN}:  # how NFS says that somebody else holds it
            return False
        raise TableBusyError(
            f"The file system refuses to lock {file.name}: {error.strerror}. Locks keep two runs from writing one "
            "table; put data/ on a file system that has them (Lustre: mount with -o flock)."
        ) from error
    return True


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return printable(file.read(_LONGEST_NAME).strip()) or "another process"


def _sign(file: IO[str]) -> None:
    job = f" (Slurm job {os.environ['SLURM_JOB_ID']})" if "SLURM_JOB_ID" in os.environ else ""
    file.truncate(0)
    file.write(f"{_me()}{job}")
    file.flush()


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"
