"""Processes that do what may take for ever: each job has a limit of CPU time and memory, and harms no other.

A signal inside a process is no limit: it fails in threads, and a power of large integers does not listen. So a worker
that goes over its limit is ended by the kernel, and another takes its place. See `worker` for the other side.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

from omr_kedro.answers import grading_worker as worker_script
from omr_kedro.shards import OmrError

TIMEOUT = "timeout"
CRASHED = "crashed"
"""Out of memory, or ended by a fault of the library or by someone else, twice."""

Job = tuple[str, ...]
"""A task of `worker` by name, and its arguments."""

_WALL_PER_CPU = 20
"""A worker that gets less of a processor than one part in so many is hung."""
_ENVIRONMENT = ("PATH", "PYTHON", "LD_", "LANG", "LC_", "TMPDIR", "VIRTUAL_ENV")
_LOOK_EVERY_S = 1.0
_ERROR_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may take."""

    cpu_seconds: float = 5.0
    memory_mb: int = 1024
    """Address space of a worker; the libraries alone take some 100."""
    start_seconds: float = 120.0


class GradingWorkerError(OmrError):
    """Workers cannot be started."""


class Workers:
    """A pool. Processes start with the first jobs and end with `close`, or with this process.

    Every job gets a reply: the task's own, `timeout`, or `crashed`. Threads may share a pool; their jobs take turns.
    """

    def __init__(self, count: int | None = None, limits: Limits | None = None) -> None:
        """Start nothing yet.

        Args:
            count: processes; as many as this process may use processors when None.
            limits: of each job.
        """
        self._count = count or processors()
        self._limits = limits or Limits()
        self.idle: list[_Worker] = []
        """Processes without a job."""
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes; returns when they are gone. The next jobs would start new ones."""
        with self._lock:
            while self.idle:
                self.idle.pop().end()

    def run(self, jobs: Sequence[Job]) -> list[str]:
        """The replies, in the order of the jobs.

        Raises:
            GradingWorkerError: workers do not start.
        """
        with self._lock:
            batch = _Batch(jobs, self.idle, self._limits)
            try:
                return batch.finish(self._count)
            finally:
                self.idle = batch.settle()


class _Batch:
    """Jobs on their way through the workers."""

    def __init__(self, jobs: Sequence[Job], workers: list[_Worker], limits: Limits) -> None:
        self._jobs = jobs
        self._limits = limits
        self._workers = workers
        self._waiting = deque(range(len(jobs)))
        self._tried = Counter[int]()
        self._replies: dict[int, str] = {}

    def finish(self, count: int) -> list[str]:
        while len(self._replies) < len(self._jobs):
            missing = min(count, len(self._jobs) - len(self._replies)) - len(self._workers)
            self._workers += [_Worker(self._limits) for _ in range(missing)]
            for worker in self._workers:
                if worker.free and self._waiting:
                    worker.give(self._waiting.popleft(), self._jobs)
            for worker in _readable(self._workers):
                self._hear(worker)
        return [self._replies[place] for place in range(len(self._jobs))]

    def settle(self) -> list[_Worker]:
        """End workers that are still at a job, which only happens after an error; the others can go on."""
        for worker in self._workers:
            if not worker.free:
                worker.end()
        return [worker for worker in self._workers if worker.free]

    def _hear(self, worker: _Worker) -> None:
        place = worker.place
        reply = worker.hear()
        if reply is None:
            self._workers.remove(worker)
            reply = worker.death_report()
            if place is not None and reply == CRASHED and not self._tried[place]:
                # Whoever ended the worker may have meant another process.
                self._tried[place] += 1
                self._waiting.appendleft(place)
                return
        if place is not None:
            self._replies[place] = reply


class _Worker:
    """One process: starting, free, or at a job (`place`)."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        self._process = subprocess.Popen(  # noqa: S603 (this interpreter, no shell)
            [sys.executable, "-P", worker_script.__file__, str(limits.cpu_seconds), str(limits.memory_mb << 20)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            # The order of sets decides how sympy goes about things, and sometimes what comes out. What is read here is
            # forum text, so keys stay outside.
            env={**_harmless_environment(), "PYTHONHASHSEED": "0"},
            # Ctrl-C is for the parent, who ends its workers.
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.place: int | None = None
        self._ready = False
        self._deadline = time.monotonic() + limits.start_seconds

    @property
    def free(self) -> bool:
        return self._ready and self.place is None

    @property
    def overdue(self) -> bool:
        return time.monotonic() > self._deadline

    def fileno(self) -> int:
        """For selectors."""
        return self._process.stdout.fileno() if self._process.stdout else -1

    def give(self, place: int, jobs: Sequence[Job]) -> None:
        self.place = place
        self._deadline = time.monotonic() + self._limits.cpu_seconds * _WALL_PER_CPU
        # A worker that died meanwhile is found out when its reply is read.
        with suppress(BrokenPipeError):
            os.write(self._process.stdin.fileno(), json.dumps(jobs[place]).encode() + b"\n")  # type: ignore[union-attr]

    def hear(self) -> str | None:
        """The reply, or None from a worker that is gone. Replies are shorter than what a pipe takes at once."""
        line = b"" if self.overdue else os.read(self.fileno(), 4096)
        if not line:
            return None
        self.place = None
        self._ready = True
        return str(json.loads(line))

    def death_report(self) -> str:
        """What its end says about its job."""
        hung = self.overdue
        status = self.end()
        if not self._ready:
            self._errors.seek(0)
            said = self._errors.read().decode("utf-8", "replace").strip()[-_ERROR_CHARS:]
            raise GradingWorkerError(
                f"a worker for answers did not start (exit status {status}):\n{said}\n"
                "Is the package installed in full (`pip install math-verify`), and is memory left?"
            )
        if hung or status == -signal.SIGPROF:
            return TIMEOUT
        return CRASHED

    def end(self) -> int:
        """Kill it unless it is gone; its exit status."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        return self._process.wait()


def _harmless_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT)}


def _readable(workers: Sequence[_Worker]) -> list[_Worker]:
    """Those that have something to say, are gone, or are overdue."""
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            if not worker.free:
                selector.register(worker, selectors.EVENT_READ)
        speaking = [key.fileobj for key, _ in selector.select(_LOOK_EVERY_S)]
    return [worker for worker in workers if worker in speaking or (not worker.free and worker.overdue)]


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
