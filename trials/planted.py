"""Faults planted into the code, each of which the trials must find: what they prove is worth as much as this.

    python -m trials --planted

Each takes away one of the precautions that tables and journal consist of, in the processes of the trials only.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from omr_kedro.llm.calls.request import Completion
from omr_kedro.llm.engine import engine, journal
from omr_kedro.llm.engine.journal import JournalWriter, ShardJournal
from omr_kedro.shards import files, store


@dataclass(frozen=True)
class Fault:
    """A precaution that is taken away."""

    plant: Callable[[], None]
    where: tuple[str, ...]
    """Scenes and disturbances that should show it."""


class _Os:
    """The module `os`, in which some functions do nothing."""

    def __init__(self, *without: str) -> None:
        self._without = without

    def __getattr__(self, name: str) -> Any:
        return _nothing if name in self._without else getattr(os, name)


def _nothing(*args: object, **options: object) -> None:
    del args, options


def _no_lines(path: Path) -> Iterator[tuple[dict[str, Any], int, int]]:
    del path
    return iter(())


def _always(*args: object) -> bool:
    del args
    return True


@contextmanager
def _in_place(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    files.make_folder(path.parent)
    with path.open(mode) as file:
        yield file


async def _count_first(writer: JournalWriter, shard: ShardJournal, completion: Completion) -> None:
    later = asyncio.get_running_loop().create_future()
    later.add_done_callback(lambda done: done.exception())
    writer._queue.put_nowait((shard, completion, later))


def _open_as_it_is(path: Path) -> tuple[int, int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    return descriptor, os.fstat(descriptor).st_size


def _give_up(asked: engine.Engine, error: BaseException | None) -> None:
    asked._fatal = asked._fatal or error or asyncio.CancelledError()
    if asked._feeder:
        asked._feeder.cancel()
    asked.give_up()


def _set(target: object, name: str, value: object) -> Callable[[], None]:
    assert hasattr(target, name), f"{target} has no {name} any more: plant the fault where it is now"
    return lambda: setattr(target, name, value)


FAULTS = {
    "a journal is not synced": Fault(_set(journal, "os", _Os("fdatasync")), ("calls", "power")),
    "a journal's name is not synced": Fault(_set(journal, "sync_folder", _nothing), ("calls", "power")),
    "a cut line is not ended": Fault(_set(journal, "_open_for_append", _open_as_it_is), ("calls", "full once")),
    "a journal is not read": Fault(_set(journal, "whole_lines_at", _no_lines), ("calls", "SIGKILL")),
    "paid calls are not retired": Fault(_set(ShardJournal, "retire", _nothing), ("calls", "before", "SIGKILL")),
    "calls count before they are on disk": Fault(_set(JournalWriter, "append", _count_first), ("calls", "SIGKILL")),
    "an old mark stays": Fault(_set(store, "delete_for_good", _nothing), ("tables", "before", "after", "torn")),
    "files are not written aside": Fault(_set(store, "whole_file", _in_place), ("tables", "torn", "SIGKILL")),
    "files are not synced": Fault(_set(files, "os", _Os("fsync")), ("tables", "power")),
    "tables are not locked": Fault(_set(files, "_try_lock", _always), ("calls", "two at once")),
    "Ctrl-C gives calls up": Fault(_set(engine.Engine, "stop", _give_up), ("calls", "SIGINT")),
}
