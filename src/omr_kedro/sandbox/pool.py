"""A pool of sessions: so many cells at a time, so many processes, whatever number of sessions callers hold."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, Self

from omr_kedro.resources import processors
from omr_kedro.sandbox.errors import NoProcessError, SandboxError
from omr_kedro.sandbox.exchange import hear_ready
from omr_kedro.sandbox.jail.frames import BrokenFrameError
from omr_kedro.sandbox.jail.settings import LEVELS, NONE, Settings
from omr_kedro.sandbox.limits import Limits, Status
from omr_kedro.sandbox.metrics import Metrics
from omr_kedro.sandbox.session import Session
from omr_kedro.sandbox.zygote import Process, Zygote

logger = logging.getLogger(__name__)

Isolation = Literal["auto", "namespaces", "landlock", "none"]
MODULES = ("numpy", "scipy", "sympy", "mpmath", "networkx")
"""Beside the standard library, modules that cells may import: those that models reach for in mathematics."""

_OPEN_SECONDS = 10.0
"""In which a new process is confined; a zygote that takes longer is hung."""
_END_SECONDS = 10.0
"""In which the zygote tells of a killed process; one that does not is hung."""
_CLOSE_SECONDS = 1.0
"""In which sessions without a cell end one by one, and are counted, before the rest ends with the zygote."""
_SPARE_DESCRIPTORS = 256
_CLOSED = "The sandbox is closed."


@dataclass(frozen=True)
class Plan:
    """Size and kind of a pool."""

    isolation: Isolation = "auto"
    """`auto` takes the strongest level that this machine gives. `none` is for code of one's own."""
    cores: int | None = None
    """Cells that run at the same time; as many as this process may use processors when None."""
    sessions: int = 1000
    """Processes at the same time; idle ones make room, and are rebuilt when they are needed again."""
    nice: int = 19
    """How far cells stand back behind all else on the machine, as behind a model server."""
    modules: Sequence[str] = MODULES
    recycle_after: int = 20_000
    """Sessions after which the zygote is replaced."""

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels to try."""
        return LEVELS if self.isolation == "auto" else (self.isolation,)


class Pool:
    """Sessions of one event loop. Nothing is started before the first cell, and `close` ends everything."""

    def __init__(
        self,
        plan: Plan | None = None,
        limits: Limits | None = None,
        *,
        python: str = sys.executable,
        metrics: Metrics | None = None,
    ) -> None:
        """Describe the pool.

        Args:
            plan: its size and kind.
            limits: of each session and cell.
            python: interpreter whose libraries cells import.
            metrics: to go on with; new ones when None.
        """
        self.plan = plan or Plan()
        self.limits = limits or Limits()
        self.metrics = metrics or Metrics()
        self.closed = False
        self.level = ""
        """Level of isolation, once it runs."""
        self._python = python
        count = self.plan.cores or processors()
        self._cores = asyncio.Semaphore(count)
        self._most = max(self.plan.sessions, count)
        self._zygote: Zygote | None = None
        self._retired: set[Zygote] = set()
        self._starting = asyncio.Lock()
        self._processes = 0
        self._idle: dict[Session, None] = {}
        """Sessions with a process and without a cell, the longest idle first."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def session(self, key: str, earlier: Sequence[tuple[str, Status]] = ()) -> Session:
        """A session, whose process starts with its first cell.

        Args:
            key: decides its random numbers; a call's key, so that the same calls give the same output in every run.
            earlier: all its cells before this run, and how they ended; those that left variables behind are run again
                before the first cell.
        """
        return Session(self, key, earlier)

    async def start(self) -> None:
        """Start the zygote now rather than with the first cell.

        Raises:
            SandboxRefusedError: this machine gives none of the levels.
            SandboxError: it does not start.
        """
        await self._ready_zygote()

    @asynccontextmanager
    async def core(self, session: Session) -> AsyncIterator[None]:
        """A core for a session; those who wait get one in the order in which they came."""
        async with self._cores:
            self._idle.pop(session, None)
            try:
                yield
            finally:
                if session.has_process:
                    self._idle[session] = None

    async def open(self, seed: int) -> Process:
        """A new process, confined and waiting.

        Raises:
            NoProcessError: it could not be had, and another try may fare better.
            SandboxError: the sandbox does not start.
        """
        zygote = await self._ready_zygote()
        while self._processes >= self._most and self._idle:
            self.metrics.evicted += 1
            next(iter(self._idle)).lose()  # and so it is idle no more
        try:
            process = zygote.open(seed)
        except OSError as error:
            raise NoProcessError(f"The session could not be started: {error.strerror}.") from None
        self._processes += 1
        self.metrics.sessions += 1
        try:
            await asyncio.wait_for(hear_ready(process), _OPEN_SECONDS)
        except BrokenFrameError as error:
            self.end(process)
            raise SandboxError(f"a session could not be confined: {error}") from None
        except (OSError, EOFError):
            self.end(process)
            await asyncio.wait({process.ended}, timeout=1)
            how = process.ended.result().words if process.ended.done() else "it closed its channel"
            raise NoProcessError(f"The session could not be started: {how}.") from None
        except TimeoutError:
            self.end(process)
            zygote.kill()
            raise NoProcessError(f"The session was not there after {_OPEN_SECONDS:g} seconds.") from None
        except BaseException:
            self.end(process)
            raise
        return process

    def lost(self, session: Session, process: Process) -> None:
        """End the process of a session."""
        self._idle.pop(session, None)
        self.end(process)

    def end(self, process: Process) -> None:
        """End a process, and see to it that it does end."""
        self._processes -= 1
        process.hang_up()
        task = asyncio.get_running_loop().create_task(self._bury(process))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bury(self, process: Process) -> None:
        await asyncio.wait({process.ended}, timeout=_END_SECONDS)
        if not process.ended.done():
            logger.warning("sandbox: the zygote did not end a session in %g seconds and is replaced", _END_SECONDS)
            process.zygote.kill()
        end = process.ended.result()
        self.metrics.add_end(end.cpu_seconds, end.peak_kb)
        if process.zygote in self._retired and process.zygote.idle:
            self._retired.discard(process.zygote)
            await process.zygote.close()

    async def _ready_zygote(self) -> Zygote:
        async with self._starting:
            old = self._zygote
            if old and old.alive and old.opened < self.plan.recycle_after:
                return old
            if self.closed:
                raise NoProcessError(_CLOSED)
            zygote = await self._start_zygote()
            if self.closed:  # meanwhile
                await zygote.close()
                raise NoProcessError(_CLOSED)
            self._zygote = zygote
            if old:
                if old.alive and not old.idle:
                    self._retired.add(old)
                else:
                    await old.close()
            return self._zygote

    async def _start_zygote(self) -> Zygote:
        _allow_descriptors(2 * self._most + _SPARE_DESCRIPTORS)
        if self.plan.isolation == NONE and self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="omr-sandbox-", ignore_cleanup_errors=True)
        settings = Settings(
            control=-1,
            levels=self.level or ",".join(self.plan.levels),
            modules=",".join(self.plan.modules),
            characters=self.limits.characters,
            memory_mb=self.limits.memory_mb,
            scratch_mb=self.limits.scratch_mb,
            nice=self.plan.nice,
            home=_home(),
            folder=self._folder.name if self._folder else "",
        )
        zygote = await Zygote.start(settings, self._python)
        if not self.level:
            self.level = zygote.level
            logger.info("sandbox: isolation by %s%s", zygote.level, "".join(f"; {why}" for why in zygote.refusals))
            if zygote.missing:
                # Code of one's own, which alone runs without isolation, is known not to need them.
                logger.log(
                    logging.INFO if zygote.level == NONE else logging.WARNING,
                    "sandbox: cells cannot import %s: pip install 'omr_kedro[sandbox]'",
                    ", ".join(zygote.missing),
                )
        self.metrics.zygotes += 1
        return zygote

    async def close(self) -> None:
        """End all sessions and zygotes. Cells under way and later ones are `unavailable`."""
        self.closed = True
        for session in list(self._idle):
            session.lose()
        if self._tasks:  # for what the zygote tells of their ends
            await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)
        for zygote in (self._zygote, *self._retired):
            if zygote:
                await zygote.close()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for session in list(self._idle):
            session.lose()
        if self._tasks:
            await asyncio.wait(self._tasks)
        async with self._starting:  # a zygote that was about to be there has ended by then
            if self._folder:
                self._folder.cleanup()


def _home() -> str:
    """Home of this user, without links."""
    return os.path.realpath(os.path.expanduser("~"))  # noqa: PTH111 (Path.home raises where there is none)


def _allow_descriptors(count: int) -> None:
    """Raise this process's own limit as far as it needs and may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY not in (soft, hard) and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
