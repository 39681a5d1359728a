"""The journal: a finished call is on disk before it counts.

Promise
    A completion that `JournalWriter.append` has returned from survives the death of the process and of the machine.
    Killed at any byte, a journal can be read: a torn last line is owed again and never an error. A completion that was
    damaged afterwards, wherever it lies, is told by its checksum, and asked again; no other is.
How
    One file of JSON lines for each open shard, appended by one process (the table's lock sees to that). Completions
    that arrive while the disk is busy are written and synced together: a sync costs a window of calls, not each call.
Memory
    Keys and places in files. Texts are read back one at a time when the shard is written, so that it does not matter
    how long replies are.
Not promised
    A call that the server answered and that was not yet on disk is paid again: at most those in flight. Calls are found
    within their shard: two shards that ask exactly the same each pay for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import orjson

from omr_kedro.llm.calls.errors import JournalError
from omr_kedro.llm.calls.request import Completion
from omr_kedro.shards import Row, Scratch
from omr_kedro.shards.files import sync_folder, whole_file, whole_lines, whole_lines_at

logger = logging.getLogger(__name__)


class Place(NamedTuple):
    """The place of one line in one file."""

    file: LineFile
    offset: int
    size: int
    """Bytes, the line's end included."""


class LineFile:
    """A file whose lines are read one at a time, by their places; opened with the first of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def read(self, offset: int, size: int) -> bytes:
        """The bytes at a place. Goes on reading the file that was opened first, also when another took its name."""
        self.open()
        assert self._descriptor is not None, "opened just now"  # noqa: S101
        return os.pread(self._descriptor, size, offset)

    def open(self) -> None:
        """Hold the file that has this name now."""
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDONLY)

    def close(self) -> None:
        """Let the file go; reading opens it again by its name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class ShardJournal:
    """The finished calls of one open shard, found by key.

    Later sources win: what was retired, then the open journal, then the shard as it was last written. The last is
    copied to lines of its own, since it may be a format that cannot be read line by line.
    """

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._places: dict[str, Place] = {}
        self._unfit: list[Place] = []
        self._written = LineFile(scratch.open)
        self._earlier = LineFile(scratch.open.with_name(f".{scratch.open.stem}.earlier.tmp"))
        self._append: int | None = None
        self._end = 0
        retired = LineFile(scratch.retired)
        self._files = (retired, self._written, self._earlier)
        self._learn(retired)
        self._retired = dict(self._places)
        self._learn(self._written)
        self._set_aside()
        if _copy(scratch.earlier(), self._earlier.path):
            self._learn(self._earlier)

    @property
    def path(self) -> Path:
        """The file that is appended to."""
        return self._scratch.open

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def completion(self, key: str) -> Completion:
        """The outcome of a call, read from its file.

        Raises:
            KeyError: the call is not here.
        """
        return _completion(orjson.loads(self._line(self._places[key])))

    def write(self, completions: list[Completion]) -> None:
        """Append and sync; returns when they are durable and can be found."""
        if self._append is None:
            self._append, self._end = _open_for_append(self._scratch.open)
        lines = [orjson.dumps(item.row(), option=orjson.OPT_APPEND_NEWLINE) for item in completions]
        view = memoryview(b"".join(lines))
        try:
            while view:
                view = view[os.write(self._append, view) :]
            os.fdatasync(self._append)
        except OSError:
            self._close_append()  # The line that was cut must not swallow a later one: opening the file again ends it.
            raise
        for completion, line in zip(completions, lines, strict=True):
            self._places[completion.call_key] = Place(self._written, self._end, len(line))
            self._end += len(line)

    def retire(self, used: set[str]) -> int:
        """Put paid calls that the new shard does not hold where a later one finds them; call before it is written.

        A prompt that is changed and changed back is not paid for again. What was retired stays, also what the new
        shard holds: it is not on disk yet.

        Returns:
            How many of them were not retired before.
        """
        unused = {key: place for key, place in self._places.items() if key not in used}
        fresh = len(unused.keys() - self._retired.keys())
        if fresh:
            with whole_file(self._scratch.retired) as file:
                file.writelines(self._line(place) for place in {**self._retired, **unused}.values())
        return fresh

    def close(self) -> None:
        """Close the files and keep what was written."""
        self._close_append()
        for file in self._files:
            file.close()
        self._earlier.path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Drop the journal; call when the shard that holds its calls is on disk."""
        self.close()
        self._scratch.open.unlink(missing_ok=True)

    def _close_append(self) -> None:
        if self._append is not None:
            os.close(self._append)
            self._append = None

    def _line(self, place: Place) -> bytes:
        return place.file.read(place.offset, place.size)

    def _learn(self, file: LineFile) -> None:
        for row, offset, size in whole_lines_at(file.path):
            file.open()  # now, so that it is still this file when its lines are read
            place = Place(file, offset, size)
            try:
                paid = _paid(row)
            except TypeError:
                self._unfit.append(place)
                continue
            if paid:
                self._places[paid.call_key] = place

    def _set_aside(self) -> None:
        """Keep lines that are no calls, or were damaged, where nobody trips over them: the journal goes in the end."""
        if not self._unfit:
            return
        path = self._scratch.open.with_suffix(".unfit.jsonl")
        with whole_file(path) as file:
            file.writelines(self._line(place) for place in self._unfit)
        logger.warning(
            "%d lines of %s are no calls, or damaged, and were set aside: %s", len(self._unfit), self.path.name, path
        )


def paid_calls(scratch: Scratch) -> Iterator[Completion]:
    """Stream the calls of a shard that are paid for, wherever they lie, to be looked at: nothing is written.

    Where a key comes several times, the last one counts.
    """
    sources = (whole_lines(scratch.retired), whole_lines(scratch.open), scratch.earlier())
    return (found for rows in sources for row in rows if (found := _paid_or_unfit(row)))


def _paid_or_unfit(row: Row) -> Completion | None:
    try:
        return _paid(row)
    except TypeError:
        return None


def _paid(row: Row) -> Completion | None:
    """A call that is paid for; None for failures that may pass, and for lines of another kind.

    Raises:
        TypeError: it has the fields of a call, and they hold none, or another than was written.
    """
    if "call_key" not in row or "model" not in row:
        return None
    completion = _completion(row)
    return completion if completion.settled else None


def _completion(row: Row) -> Completion:
    return Completion.from_row(row).as_written(row.get("checksum"))


def _copy(rows: Iterator[Row], path: Path) -> bool:
    """Write rows as lines; returns whether there was one. Nobody misses the file after a crash."""
    first = next(rows, None)
    if first is None:
        return False
    with path.open("wb") as file:
        for row in chain((first,), rows):
            if _paid_or_unfit(row):
                file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    return True


_GATHER_S = 0.005
"""Time in which completions are gathered for one write: little beside a call, and much beside the hop to a thread."""


class JournalWriter:
    """Groups the completions of many calls into few syncs."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[ShardJournal, Completion, asyncio.Future[None]]] = asyncio.Queue()
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    async def append(self, journal: ShardJournal, completion: Completion) -> None:
        """Return when the completion is durable.

        Raises:
            JournalError: the disk refused it; the call counts as not made.
        """
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((journal, completion, durable))
        await durable

    async def run(self) -> None:
        """Write until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                batch = [await self._queue.get()]
                await asyncio.sleep(_GATHER_S)
                while not self._queue.empty():
                    batch.append(self._queue.get_nowait())
                await loop.run_in_executor(self._disk, _write, batch, loop)
        finally:
            self._disk.shutdown()


def _write(batch: list[tuple[ShardJournal, Completion, asyncio.Future[None]]], loop: asyncio.AbstractEventLoop) -> None:
    by_journal: dict[ShardJournal, list[tuple[Completion, asyncio.Future[None]]]] = {}
    for journal, completion, durable in batch:
        by_journal.setdefault(journal, []).append((completion, durable))
    for journal, entries in by_journal.items():
        error: Exception | None = None
        try:
            journal.write([completion for completion, _ in entries])
        except OSError as caught:
            error = JournalError(
                f"Cannot write the journal {journal.path}: {caught}. Calls in flight are lost, "
                "all earlier ones are kept. Make room and run the same command again."
            )
        except Exception as caught:  # whoever waits must hear of it, whatever it is
            error = caught
        loop.call_soon_threadsafe(_resolve, [durable for _, durable in entries], error)


def _resolve(futures: list[asyncio.Future[None]], error: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _open_for_append(path: Path) -> tuple[int, int]:
    """A descriptor that appends, and where the next line will begin."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        sync_folder(path.parent)
        size = os.fstat(descriptor).st_size
        # A line that a kill cut short must not swallow the first line written after it.
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            size += os.write(descriptor, b"\n")
    except OSError:
        os.close(descriptor)
        raise
    return descriptor, size
