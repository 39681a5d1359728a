"""What all users of a model share: an event loop, a window of calls, a pace, and the local server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from omr_kedro.llm.errors import StoppedError
from omr_kedro.llm.limits import Pacer, Window
from omr_kedro.llm.process import ServerSpec
from omr_kedro.llm.progress import Tally
from omr_kedro.llm.server import LocalServer
from omr_kedro.llm.spending import Price, Spending
from omr_kedro.llm.team import Team


@dataclass(frozen=True)
class Limits:
    """What an endpoint may be asked for."""

    max_in_flight: int = 64
    requests_per_minute: float | None = None
    timeout_s: float = 600
    """One try, from sending to the last byte. Hosted queues answer after minutes, so a short limit pays twice."""
    max_tries: int = 6
    """For errors that may pass. Refusals (429, 503) use up none."""
    patience_s: float = 900
    """How long the endpoint may refuse every call before the run stops."""


class Caller(Protocol):
    """Makes calls, and can be told to stop; both methods are called on the endpoint's loop."""

    tally: Tally

    def stop(self, error: BaseException | None) -> None:
        """Start no more calls."""
        ...

    def give_up(self) -> None:
        """Abandon the calls in flight."""
        ...


class Endpoint:
    """One per model and process. Several callers at once share its window, so that it is never asked for more."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.window = Window(limits.max_in_flight)
        self.pacer = Pacer(limits.requests_per_minute)
        self.refused_since: float | None = None
        """Since when (monotonic seconds) every call was refused; None once one is answered."""
        self.tallies: list[Tally] = []
        """Of all callers there ever were."""
        self.spending = Spending()
        """The run's account; other models may share it."""
        self.price = Price()
        self._callers: set[Caller] = set()
        self._halted: str | None = None
        self._users = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = asyncio.Lock()
        self._server: LocalServer | None = None
        self.team: Team | None = None
        """The nodes that serve the model together, if one node cannot hold it."""
        self.server_started_in_s: float | None = None
        """How long the local server took to answer, when it was last started."""

    @contextmanager
    def open(self) -> Iterator[asyncio.AbstractEventLoop]:
        """The loop that calls run on; it lives as long as somebody has it open."""
        with self._lock:
            if self._users == 0:
                # Waiting calls and timers belong to a loop, so these are as young as it is.
                self.window, self._starting = Window(self._limits.max_in_flight), asyncio.Lock()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="calls", daemon=True)
                self._thread.start()
            self._users += 1
            loop = self._loop
            assert loop is not None, "made with the first user"  # noqa: S101
        try:
            yield loop
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0 and self._thread:
                    loop.call_soon_threadsafe(loop.stop)
                    self._thread.join()
                    loop.close()

    @contextmanager
    def run(self, caller: Caller, calls: Coroutine[Any, Any, None]) -> Iterator[Future[None]]:
        """Run `calls` on the loop, on behalf of the caller."""
        with self.open() as loop:
            self.tallies.append(caller.tally)
            self._callers.add(caller)
            try:
                yield asyncio.run_coroutine_threadsafe(calls, loop)
            finally:
                self._callers.discard(caller)

    def call_soon(self, callback: Callable[..., None], *args: Any) -> None:
        """Call it on the loop; whoever calls this has the loop open."""
        assert self._loop is not None, "made when it was opened"  # noqa: S101
        self._loop.call_soon_threadsafe(callback, *args)

    def halt(self, reason: str, grace_s: float) -> None:
        """Start no more calls, give those in flight some time, then abandon them. Returns at once; safe in a handler.

        Every caller, also a later one, ends with `StoppedError(reason)`.
        """
        self._halted = reason
        if self._loop and self._users:
            self._loop.call_soon_threadsafe(self._halt_callers, grace_s)

    def resume(self) -> None:
        """Let calls start again after a halt."""
        self._halted = None

    def check_halted(self) -> None:
        """Raise when no call may start any more.

        Raises:
            StoppedError: see `halt`.
        """
        if self._halted:
            raise StoppedError(self._halted)

    def _halt_callers(self, grace_s: float) -> None:
        for caller in list(self._callers):
            caller.stop(StoppedError(self._halted or ""))
            asyncio.get_running_loop().call_later(grace_s, caller.give_up)

    async def serve(self, spec: ServerSpec, model: str) -> str:
        """Base URL of the local server; starts it on first use, so that a run without calls starts none.

        Raises:
            ModelServerError: it does not start.
        """
        # Held across the start: a second caller waits for the server instead of starting another.
        async with self._starting:
            if self._server is None or not self._server.alive:
                server = LocalServer(spec, model, self.team)
                began = time.monotonic()
                try:
                    await server.start()
                except BaseException:
                    server.stop()
                    raise
                self._server = server
                self.server_started_in_s = time.monotonic() - began
            return self._server.base_url

    def obituary(self) -> str | None:
        """What is to be said of a local server that died; None while all is well."""
        server = self._server
        return server.obituary() if server and not server.alive else None

    def stop_server(self) -> None:
        """Stop the local server, if one runs."""
        server, self._server = self._server, None
        if server:
            server.stop()
