"""The journal: a finished call is on disk before it counts.

Promise
    A completion that `Journal.append` has returned from survives the death of the process and of the machine. Killed at
    any byte, a journal can be read: a torn last line is owed again and never an error. No key is stored twice.
How
    One file of JSON lines for each open shard, appended by one process (the table's lock sees to that). Completions
    that arrive while the disk is busy are written and synced together: a sync costs a window of calls, not each call.
Not promised
    A call that the server answered and that was not yet on disk is paid again: at most those in flight. Calls are found
    within their shard: two shards that ask exactly the same each pay for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson

from omr_kedro.llm.calls.errors import JournalError
from omr_kedro.llm.calls.request import Completion
from omr_kedro.shards import Scratch
from omr_kedro.shards.files import sync_folder, whole_file, whole_lines


class ShardJournal:
    """The finished calls of one open shard, found by key."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self.known: dict[str, Completion] = {}
        self._learn(whole_lines(scratch.retired))
        self._retired = dict(self.known)
        self._learn(whole_lines(scratch.open))
        self._learn(scratch.earlier())
        self._descriptor: int | None = None

    @property
    def path(self) -> Path:
        """The file that is appended to."""
        return self._scratch.open

    def write(self, completions: list[Completion]) -> None:
        """Append and sync; returns when they are durable."""
        if self._descriptor is None:
            self._descriptor = _open_for_append(self._scratch.open)
        lines = b"".join(
            orjson.dumps(completion.row({}), option=orjson.OPT_APPEND_NEWLINE) for completion in completions
        )
        view = memoryview(lines)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fdatasync(self._descriptor)
        except OSError:
            self.close()  # The line that was cut must not swallow a later one: opening the file again ends it.
            raise

    def retire(self, used: set[str]) -> None:
        """Put paid calls that the new shard does not hold where a later one finds them; call before it is written.

        A prompt that is changed and changed back is not paid for again. What was retired stays, also what the new
        shard holds: it is not on disk yet.
        """
        unused = {key: item for key, item in self.known.items() if key not in used}
        if unused.keys() - self._retired.keys():
            with whole_file(self._scratch.retired) as file:
                items = {**self._retired, **unused}.values()
                file.writelines(orjson.dumps(item.row({}), option=orjson.OPT_APPEND_NEWLINE) for item in items)

    def close(self) -> None:
        """Close the file and keep it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def discard(self) -> None:
        """Drop the file; call when the shard that holds its calls is on disk."""
        self.close()
        self._scratch.open.unlink(missing_ok=True)

    def _learn(self, rows: Iterator[dict[str, object]]) -> None:
        for row in rows:
            if "call_key" not in row or "model" not in row:
                continue
            completion = Completion.from_row(row)
            if completion.settled:
                self.known[completion.call_key] = completion


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


def _open_for_append(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        sync_folder(path.parent)
        size = os.fstat(descriptor).st_size
        # A line that a kill cut short must not swallow the first line written after it.
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            os.write(descriptor, b"\n")
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
