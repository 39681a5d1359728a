"""The sandbox of a process: one pool with an event loop of its own, for callers in any loop and thread."""

from __future__ import annotations

import asyncio
import logging
import platform
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self, TypeVar

from omr_kedro.sandbox.limits import Limits, Result, Status
from omr_kedro.sandbox.metrics import Metrics
from omr_kedro.sandbox.pool import Plan, Pool
from omr_kedro.sandbox.session import Session

logger = logging.getLogger(__name__)

Value = TypeVar("Value")


class Sandbox:
    """A pool as the resource of all who have code run (`resources.Resource`).

    Nothing is started before the first cell. `close` ends all; the next session starts it again.
    """

    def __init__(self, plan: Plan | None = None, limits: Limits | None = None) -> None:
        """Describe it."""
        self._plan = plan or Plan()
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._thread: _LoopThread | None = None
        self._pool: Pool | None = None
        self._halted = False
        self.metrics = Metrics()
        """Counts of all its pools, one after the other."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def identity(self) -> dict[str, object]:
        """All that decides what cells answer: the limits, and the versions of Python and of what cells import."""
        versions = {name: _version(name) for name in self._plan.modules}
        return {**self._limits.identity, "python": ".".join(platform.python_version_tuple()[:2]), **versions}

    def session(self, key: str, earlier: Sequence[tuple[str, Status]] = ()) -> SandboxSession:
        """A session; see `Pool.session`."""
        with self._lock:
            if self._thread is None or self._pool is None:
                self._thread = _LoopThread()
                self._pool = Pool(self._plan, self._limits, metrics=self.metrics)
                self._pool.closed = self._halted
            return SandboxSession(self._thread, self._pool.session(key, earlier))

    def halt(self) -> None:
        """Begin to end all sessions, and wait for nothing, as a signal handler must.

        Cells under way, and all that come before `close`, are `unavailable`.
        """
        self._halted = True
        # No lock: the thread that the signal has interrupted may hold it.
        thread, pool = self._thread, self._pool
        if thread and pool and not thread.closed:
            thread.submit(pool.close())

    def close(self) -> None:
        """End all sessions and processes. Cells under way get an answer."""
        with self._lock:
            self._halted = False
            thread, self._thread = self._thread, None
            pool = self._pool
        if thread is None or pool is None:
            return
        thread.submit(pool.close()).result()
        thread.close()
        if self.metrics.cells:
            logger.info("sandbox: %s", ", ".join(f"{name} {value:,}" for name, value in self.metrics.row().items()))


class SandboxSession:
    """A session of a `Sandbox`, to be awaited from any event loop."""

    def __init__(self, thread: _LoopThread, session: Session) -> None:
        self._thread = thread
        self._session = session

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def run(self, code: str) -> Result:
        """Run a cell; see `Session.run`. When the caller is cancelled, the session's process is ended."""
        if self._thread.closed:
            return Result(Status.UNAVAILABLE, stderr="The session is closed.\n")
        return await asyncio.wrap_future(self._thread.submit(self._session.run(code)))

    async def close(self) -> None:
        """End the process."""
        if not self._thread.closed:
            await asyncio.wrap_future(self._thread.submit(self._session.close()))


class _LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox", daemon=True)
        self._thread.start()
        self.closed = False

    def submit(self, work: Coroutine[Any, Any, Value]) -> Future[Value]:
        """Have work done in the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """End the loop, once all that is under way there has its answer."""
        self.closed = True
        self.submit(self._finish()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _finish(self) -> None:
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
