"""Shards made by several processes at once."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

import pyarrow as pa

from omr_kedro.shards.errors import OmrError

Result = TypeVar("Result")

_GARBAGE = 200_000


def spread(
    work: Callable[[str], Result], names: Iterable[str], processes: int
) -> Generator[tuple[str, Result], None, None]:
    """Do picklable work for each name, `processes` at a time; results come as they are ready.

    Workers are started anew (`spawn`): a fork of a process that has threads may hang. They end with this process,
    however it ends.

    Raises:
        OmrError: a worker was killed, as the kernel does when memory runs out.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_prepare_worker)
    try:
        futures = {pool.submit(work, name): name for name in names}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise OmrError(
            "A worker process was killed, perhaps because memory ran out. What was finished is kept: run the same "
            "command again, with fewer `processes` if memory is short."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    # Threads of Arrow's own would fight over the cores that the workers have.
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    # Rows come and go by the thousand and hold no cycles; looking for some among them takes a tenth of the time.
    gc.freeze()
    gc.set_threshold(_GARBAGE)
    # Ctrl-C and a hang-up reach all processes of a terminal; the parent decides.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
