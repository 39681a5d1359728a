"""Processes that do what may take for ever: each job has a limit of CPU time and memory, and harms no other.

A signal inside a process is no limit: it fails in threads, and a power of large integers does not listen. So a worker
that goes over its limit is ended by the kernel, and another takes its place. `grading_worker.py` is the other side.
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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from types import TracebackType
from typing import IO, Self

from omr_kedro.answers import grading_worker as worker_script
from omr_kedro.resources import processors
from omr_kedro.shards import OmrError

TIMEOUT = "timeout"
CRASHED = "crashed"
"""Out of memory, or ended by a fault of the library or by someone else, twice."""

Job = tuple[str, ...]
"""A task of `grading_worker` by name, and its arguments."""

_TRIES = 2
"""A worker that ends may have been ended by somebody who meant another process, so its job is done once more."""
_WALL_PER_CPU = 20
"""A worker that gets less of a processor than one part in so many is hung."""
_ENVIRONMENT = ("PATH", "PYTHON", "LD_", "LANG", "LC_", "TMPDIR", "VIRTUAL_ENV")
_ERROR_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one job."""

    cpu_seconds: float = 5.0
    memory_mb: int = 1024
    """Address space of a worker; the libraries alone take some 100."""
    start_seconds: float = 120.0


class GradingWorkerError(OmrError):
    """Workers cannot be started."""


class Workers:
    """A pool of processes, the resource of all who compare answers (`resources.Resource`).

    Processes start with the first jobs and end with `close`, or with this process. Every job gets a reply: the task's
    own, `timeout`, or `crashed`. Threads share a pool: their jobs wait in one queue, and no process waits for a thread
    that has no job for it.
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
        self._threads: ThreadPoolExecutor | None = None
        """One for each process: it hands out jobs and waits for replies."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def identity(self) -> dict[str, object]:
        """All that decides the replies: the limits, and the version of the library that compares."""
        limits = {"cpu_seconds": self._limits.cpu_seconds, "memory_mb": self._limits.memory_mb}
        return {**limits, "math-verify": version("math-verify")}

    def close(self) -> None:
        """Wait for the jobs that are there and end all processes; the next jobs start new ones."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads:
            threads.shutdown()
        while self.idle:
            self.idle.pop().end()

    def run(self, jobs: Sequence[Job]) -> list[str]:
        """The replies, in the order of the jobs.

        Raises:
            GradingWorkerError: workers do not start.
        """
        turns = [_Turn(job) for job in jobs]
        with self._lock:
            self._threads = self._threads or ThreadPoolExecutor(self._count, thread_name_prefix="grading")
            replies = [self._threads.submit(self._reply, turn) for turn in turns]
        try:
            return [reply.result() for reply in replies]
        except BaseException:  # Ctrl-C included: nobody will hear what is still to come
            for reply, turn in zip(replies, turns, strict=True):
                if not reply.cancel():
                    turn.abandon()
            wait(replies)
            raise

    def _reply(self, turn: _Turn) -> str:
        reply = CRASHED
        for _ in range(_TRIES):
            turn.worker = worker = self._take()
            try:
                if turn.abandoned:
                    return CRASHED
                reply = worker.do(turn.job)
            finally:
                turn.worker = None
                if worker.alive:
                    self.idle.append(worker)
            if reply != CRASHED:
                break
        return reply

    def _take(self) -> _Worker:
        """A process that lives, idle until now or new. There are no more of them than threads."""
        while True:
            try:
                worker = self.idle.pop()
            except IndexError:
                return _Worker(self._limits)
            if worker.alive:
                return worker
            worker.end()


class _Turn:
    """A job in the queue, or with its worker."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.worker: _Worker | None = None
        self.abandoned = False

    def abandon(self) -> None:
        """Let it end as soon as it can."""
        self.abandoned = True
        if worker := self.worker:
            worker.kill()


class _Worker:
    """One process; one thread at a time uses it."""

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
        self._ready = False

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def do(self, job: Job) -> str:
        """The reply to a job. A process that went over its limits is gone after it.

        Raises:
            GradingWorkerError: the process, which is a new one, does not start.
        """
        if not self._ready:
            self._wait_until_ready()
        # A worker that died meanwhile is found out when its reply is read.
        with suppress(BrokenPipeError):
            os.write(self._process.stdin.fileno(), json.dumps(job).encode() + b"\n")  # type: ignore[union-attr]
        line = self._read(self._limits.cpu_seconds * _WALL_PER_CPU)
        if line:
            return str(json.loads(line))
        status = self.end()
        return TIMEOUT if line is None or status == -signal.SIGPROF else CRASHED

    def _wait_until_ready(self) -> None:
        if not self._read(self._limits.start_seconds):
            status = self.end()
            self._errors.seek(0)
            said = self._errors.read().decode("utf-8", "replace").strip()[-_ERROR_CHARS:]
            raise GradingWorkerError(
                f"a worker for answers did not start (exit status {status}):\n{said}\n"
                "Is the package installed in full (`pip install math-verify`), and is memory left?"
            )
        self._ready = True

    def _read(self, within_s: float) -> bytes | None:
        """A line, which is shorter than what a pipe takes at once; empty from a process that is gone, None in vain."""
        assert self._process.stdout is not None, "it was started with a pipe"  # noqa: S101
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(within_s):
                return None
            return os.read(self._process.stdout.fileno(), 4096)

    def kill(self) -> None:
        """Kill it; whoever waits for its reply hears of its end."""
        self._process.kill()

    def end(self) -> int:
        """Kill it unless it is gone; its exit status."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        return self._process.wait()


def _harmless_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT)}
