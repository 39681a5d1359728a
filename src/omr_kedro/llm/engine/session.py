"""The session of a model: event loop, window of calls, pace, account and local server, shared by all who ask it."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from omr_kedro.llm.calls.errors import CallError, LoopError, StoppedError
from omr_kedro.llm.calls.prices import Price
from omr_kedro.llm.endpoint.client import ChatClient
from omr_kedro.llm.endpoint.dialect import Dialect
from omr_kedro.llm.endpoint.limits import Pacer, Window
from omr_kedro.llm.endpoint.spending import Spending
from omr_kedro.llm.engine.model_entry import ModelEntry, names_clash
from omr_kedro.llm.engine.progress import Tally
from omr_kedro.llm.serving.server import LocalServer
from omr_kedro.llm.serving.team import Team
from omr_kedro.shards.printable import printable_name

logger = logging.getLogger(__name__)

_KEPT = "Calls in flight were waited for, and every finished one is kept: the same command resumes."
_OPEN_PER_SLOT = 2
"""Episodes that may be open for each slot of the window: some run code, or wait for it, and hold no slot."""
_REJECTED_IN_A_ROW = 20
"""Rejections (403, 404) without any reply between them that speak of the endpoint and not of rows."""
_PROOF_S = 30.0
_SWITCH_S = 0.0005
"""Time that another thread may keep Python from the loop of calls, which lets go of it at each read and write of a
socket. With Python's own 5 ms the loop stands still while a finished shard is written: on busy cores that left a fifth
of a server's slots empty (benchmarks/episodes.py)."""


class Caller(Protocol):
    """Makes calls, and can be told to stop; both methods are called on the endpoint's loop."""

    tally: Tally

    def stop(self, error: BaseException | None) -> None:
        """Start no more calls."""
        ...

    def give_up(self) -> None:
        """Abandon the calls in flight."""
        ...


@dataclass(frozen=True)
class Account:
    """Where the calls of a model are counted, and their price."""

    spending: Spending = field(default_factory=Spending)
    price: Price = field(default_factory=Price)


class ModelSession:
    """The shared state of one model in one process: several callers share its window, so that it bounds them all."""

    def __init__(self, entry: ModelEntry) -> None:
        self.entry = entry
        self._make_windows()
        self.pacer = Pacer(entry.limits.requests_per_minute)
        self.dialect = Dialect(entry.name)
        self._answered_at: float | None = None
        self._silent_since: float | None = None
        self._clash_told = False
        self._failing: set[str] = set()
        self._rejections = 0
        self._last_rejection: CallError | None = None
        self.tallies: list[Tally] = []
        """Tallies of all callers since the session began."""
        self._account = Account()
        self._callers: set[Caller] = set()
        self._halted: str | None = None
        self._users = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = asyncio.Lock()
        self._checking = asyncio.Lock()
        self._proving = asyncio.Lock()
        self.proved = False
        """Whether the last reply was that to a call of one token, after all other calls had failed for long."""
        self._check: Callable[[ModelSession], Awaitable[None]] | None = None
        self._server: LocalServer | None = None
        self._deaths: list[str] = []
        self._team: Team | None = None
        self.server_started_in_s: float | None = None
        """How long the local server took to answer, when it was last started."""

    def _make_windows(self) -> None:
        slots = self.entry.limits.max_in_flight
        self.window = Window(slots)
        self.episodes = Window(_OPEN_PER_SLOT * slots)
        """Places for open episodes."""

    @property
    def spending(self) -> Spending:
        """The run's account; other models may share it."""
        return self._account.spending

    @property
    def price(self) -> Price:
        """Money for a million tokens of this model."""
        return self._account.price

    def charge(self, spending: Spending, price: Price) -> None:
        """Let an account bear the calls from here on."""
        self._account = Account(spending, price)

    def serve_with(self, team: Team) -> None:
        """Let several nodes serve the model together, since one cannot hold it."""
        self._team = team

    def answered(self, served: str) -> None:
        """Take note of a reply: the endpoint is there, and serves a model, by this name."""
        self._tell_clash(served)
        self._answered_at = time.monotonic()
        self._silent_since = None
        self.proved = False
        self._rejections = 0
        self._failing.clear()
        self.window.succeeded()

    def _tell_clash(self, served: str) -> None:
        """Say it once when another model answers than was asked."""
        if not self._clash_told and names_clash(self.entry.name, served):
            self._clash_told = True
            logger.warning(
                "%s was asked, and the endpoint says that %s answers; rows name the latter in `model`, the former in "
                "`asked_model`. Is it the one that you mean?",
                self.entry.name,
                printable_name(served),
            )

    def answered_since(self, moment: float) -> bool:
        """Whether any call was answered after this moment (monotonic seconds)."""
        return self._answered_at is not None and self._answered_at > moment

    def silent_s(self) -> float:
        """Seconds since the first call that was refused after the last reply; a call was refused just now."""
        now = time.monotonic()
        self._silent_since = self._silent_since or now
        return now - self._silent_since

    @property
    def patience_s(self) -> float:
        """Seconds that the endpoint may refuse every call: fewer as long as it has answered none."""
        limits = self.entry.limits
        return limits.patience_s if self._answered_at is not None else min(limits.start_patience_s, limits.patience_s)

    @property
    def waits_s(self) -> float | None:
        """Seconds that the endpoint will still be waited for; None where it does not refuse."""
        if self._silent_since is None:
            return None
        return max(0.0, self.patience_s - (time.monotonic() - self._silent_since))

    @property
    def has_answered(self) -> bool:
        """Whether any call was ever answered."""
        return self._answered_at is not None

    async def proves_to_answer(self, client: ChatClient) -> bool:
        """Whether an endpoint that has answered nothing for long answers a call of one token: the rows are at fault."""
        asked_at = time.monotonic()
        async with self._proving:
            if self.answered_since(asked_at):  # others have asked meanwhile
                return True
            try:
                async with asyncio.timeout(_PROOF_S):
                    reply = await client.probe()
            except (CallError, TimeoutError):
                return False
            self.answered(reply.model)
            self.proved = True
            return True

    def failing(self, key: str) -> int:
        """Take note of a call that failed; returns how many calls have failed since the last reply."""
        self._failing.add(key)
        return len(self._failing)

    def rejected(self, error: CallError) -> bool:
        """Take note of a call that was rejected; says whether so many were in a row that all of them would be."""
        self._rejections += 1
        self._last_rejection = error
        return self._rejections >= _REJECTED_IN_A_ROW

    @property
    def rejects_everything(self) -> CallError | None:
        """The last rejection, where no call was ever answered."""
        return self._last_rejection if self._answered_at is None else None

    @contextmanager
    def open(self) -> Iterator[asyncio.AbstractEventLoop]:
        """The loop that calls run on; it lives as long as somebody has it open."""
        with self._lock:
            if self._users == 0:
                # Waiting calls and timers belong to a loop, so these are as young as it is.
                self._make_windows()
                self._starting, self._checking, self._proving = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._run_loop, args=(self._loop,), name="calls", daemon=True)
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

    def _run_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        sys.setswitchinterval(min(_SWITCH_S, sys.getswitchinterval()))
        while True:
            try:
                loop.run_forever()
            except BaseException as error:  # whatever ends it: those who wait for it must come to their end
                logger.error("The loop of calls was ended by %s: %s", type(error).__name__, error)
                ended = LoopError(f"The loop that makes calls was ended by {type(error).__name__}: {error}. {_KEPT}")
                for caller in list(self._callers):
                    loop.call_soon(caller.stop, ended)
            else:
                return

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

    def check_first(self, check: Callable[[ModelSession], Awaitable[None]]) -> None:
        """Let the endpoint be checked once, before the first call that is made of it; no call, no check."""
        self._check = check

    def check_now(self) -> None:
        """Check the endpoint before it is known that there is a call. Raises as the check does."""
        with self.open() as loop:
            asyncio.run_coroutine_threadsafe(self._check_once(), loop).result()

    async def _check_once(self) -> None:
        # Held across the check: a second caller waits for its outcome.
        async with self._checking:
            if self._check:
                await self._check(self)
                self._check = None

    async def client(self) -> ChatClient:
        """A client for an endpoint that answers; starts the local server unless it runs.

        Raises:
            ModelServerError: the server does not start.
            EndpointError: the check found that no call would be answered.
        """
        await self._check_once()
        return await self.reach()

    async def reach(self, at: str | None = None) -> ChatClient:
        """A client for the endpoint, unchecked; `at` is another address of a remote one.

        Raises:
            ModelServerError: the server does not start.
        """
        entry = self.entry
        if entry.base_url:
            url, key = at or entry.base_url, entry.api_key
        else:
            server = await self._serve()
            url, key = server.base_url, server.api_key
        return ChatClient(
            url,
            entry.name,
            key,
            entry.constraint,
            entry.limits.timeout_s,
            entry.extra_body,
            client=entry.client,
            api_version=entry.api_version,
            dialect=self.dialect,
            pacer=self.pacer,
        )

    async def _serve(self) -> LocalServer:
        """The local server; it starts on first use, so that a run without calls starts none."""
        if self.entry.server is None:
            raise ValueError(f"model '{self.entry.name}' has neither a base_url nor a server")
        # Held across the start: a second caller waits for the server instead of starting another.
        async with self._starting:
            if self._server and not self._server.alive:
                self._deaths.append(self._server.death_report())
                await asyncio.to_thread(self._server.stop)  # parts of it may still hold GPUs
                self._server = None
            if self._server is None:
                server = LocalServer(self.entry.server, self.entry.name, self._team)
                began = time.monotonic()
                try:
                    await server.start()
                except BaseException:
                    server.stop()
                    raise
                self._server = server
                self.server_started_in_s = time.monotonic() - began
            return self._server

    @property
    def server_number(self) -> int:
        """How many servers have died so far; whoever has a client remembers by this which server it asks."""
        return len(self._deaths)

    def death_report(self, number: int) -> str | None:
        """Command, exit status and last log lines of a local server that died; None while all is well.

        Args:
            number: `server_number` as it was when the client was made. Another caller may have noticed the death first,
                and have started the next server.
        """
        if number < len(self._deaths):
            return self._deaths[number]
        server = self._server
        return server.death_report() if server and not server.alive else None

    def stop_server(self) -> None:
        """Stop the local server, if one runs."""
        server, self._server = self._server, None
        if server:
            server.stop()
