"""Sessions as their callers see them: one namespace, cell after cell, whatever happens to the process behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from hashlib import blake2b
from typing import Protocol, Self

from omr_kedro.sandbox.errors import NoProcessError
from omr_kedro.sandbox.exchange import Answer, exchange
from omr_kedro.sandbox.limits import STATE_KEPT, Limits, Result, Status
from omr_kedro.sandbox.metrics import Metrics
from omr_kedro.sandbox.zygote import Process

_CLOSED = Result(Status.UNAVAILABLE, stderr="The session is closed.\n")
_REPLAYED = frozenset({Status.COMPLETED, Status.ERROR})


class Host(Protocol):
    """The pool, as its sessions see it."""

    limits: Limits
    metrics: Metrics
    closed: bool

    def core(self, session: Session) -> AbstractAsyncContextManager[None]:
        """A core, as long as the context lasts."""
        ...

    async def open(self, seed: int) -> Process:
        """A new process."""
        ...

    def lost(self, session: Session, process: Process) -> None:
        """End the process of a session."""
        ...


class Session:
    """A namespace for cells. Its process starts with the first cell, and again after it was lost.

    A cell's outcome is a `Result` whatever it does: it never raises, and never waits for longer than its limits. Cells
    of one session run one after the other.
    """

    def __init__(self, pool: Host, key: str, earlier: Sequence[tuple[str, Status]] = ()) -> None:
        """Start nothing yet; see `Pool.session`."""
        self._pool = pool
        self._seed = int.from_bytes(blake2b(key.encode("utf-8", "replace"), digest_size=8).digest())
        self._cells = len(earlier)
        self._history = [(number, code) for number, (code, status) in enumerate(earlier, 1) if status in _REPLAYED]
        """Cells that make the variables, with their numbers, by which tracebacks name them."""
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def has_process(self) -> bool:
        """Whether there is a process behind it."""
        return self._process is not None

    async def run(self, code: str) -> Result:
        """Run a cell.

        Variables that were lost are made again first, by running the earlier cells without their output; so it is
        also with the cells that the session was opened with.

        Raises:
            SandboxError: the sandbox does not start on this machine.
        """
        asked = _now()
        async with self._turn, self._pool.core(self):
            self._cells += 1
            result = _CLOSED if self._closed or self._pool.closed else await self._run_on_core(code, asked)
        self._pool.metrics.add(result)
        return result

    async def _run_on_core(self, code: str, asked: float) -> Result:
        rebuilt = False
        process = self._process
        if process is not None and process.ended.done():
            self.lose()
            process = None
        if process is None:
            try:
                self._process = process = await self._pool.open(self._seed)
            except NoProcessError as error:
                return Result(Status.UNAVAILABLE, stderr=f"{error}\n", waited_seconds=_now() - asked)
            if self._closed:
                self.lose()
                return _CLOSED
            if self._history:
                rebuilt = True
                self._pool.metrics.rebuilt += 1
                if not await self._replay(process):
                    self.lose()
                    self._history.clear()
                    words = "Variables of earlier cells were lost and could not be made again; define them anew.\n"
                    return Result(Status.STATE_LOST, stderr=words, waited_seconds=_now() - asked, rebuilt=True)
        begun = _now()
        answer = await self._ask(process, self._cells, code, self._pool.limits.seconds)
        if answer.status in _REPLAYED:
            self._history.append((self._cells, code))
        return Result(answer.status, answer.stdout, answer.stderr, _now() - begun, begun - asked, rebuilt)

    async def _replay(self, process: Process) -> bool:
        """Run the earlier cells again; whether their variables are there now."""
        until = _now() + self._pool.limits.replay_seconds
        for number, code in self._history:
            seconds = min(self._pool.limits.seconds, until - _now())
            if seconds <= 0 or (await self._ask(process, number, code, seconds)).status not in _REPLAYED:
                return False
        return True

    async def _ask(self, process: Process, number: int, code: str, seconds: float) -> Answer:
        """Have a cell run; what does not leave the variables behind costs the process."""
        try:
            answer = await exchange(process, number, code, self._pool.limits, seconds)
        except BaseException:
            self.lose()
            raise
        if answer.status not in STATE_KEPT:
            self.lose()
        return answer

    def lose(self) -> None:
        """Let the process go; the next cell makes the variables again."""
        process, self._process = self._process, None
        if process is not None:
            self._pool.lost(self, process)

    async def close(self) -> None:
        """End the process, in the middle of a cell if there is one; it and later ones are `unavailable`."""
        self._closed = True
        self.lose()
        self._history.clear()


def _now() -> float:
    return asyncio.get_running_loop().time()
