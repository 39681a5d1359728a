"""Tries of one call, until it has an outcome: the errors that are the endpoint's, and those that are the row's."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from omr_kedro.llm.calls.errors import OUTAGES, REJECTIONS, STOPS, CallError, Kind
from omr_kedro.llm.calls.plan import Priority
from omr_kedro.llm.calls.request import Completion, Request
from omr_kedro.llm.endpoint.client import ChatClient
from omr_kedro.llm.endpoint.spending import Charge
from omr_kedro.llm.engine import messages
from omr_kedro.llm.engine.failures import FEW_OUTRUN, Failures, backoff_s
from omr_kedro.llm.engine.progress import Tally
from omr_kedro.llm.engine.session import ModelSession

_MOST_UNREADABLE = 2
_FEW_CALLS = 8  # Calls that a server may refuse for what they ask, while it is well.
_BEYOND_PATIENCE_S = 0.05  # A last try comes when patience has ended, and not a moment before.


class Tries:
    """Tries of the calls of one table. Each call holds a slot of the window while it is tried."""

    def __init__(self, session: ModelSession, tally: Tally, priority: Priority) -> None:
        self.stopping = False
        self._session = session
        self._tally = tally
        self._priority = priority
        self._under_way = 0
        self._throttled: set[str] = set()
        """Keys of the calls under way that were throttled, and do not wait apart."""
        self._idle: set[asyncio.Task[object]] = set()
        """Those that wait for their turn, so that nothing is lost when they are cancelled."""

    def stop(self) -> None:
        """Start no more tries; those in flight go on, those that wait for their turn are cancelled."""
        self.stopping = True
        for task in self._idle:
            task.cancel()

    async def outcome(self, client: ChatClient, request: Request, key: str, charge: Charge) -> Completion | None:
        """Try until there is an outcome; None when the run is stopping."""
        self._under_way += 1
        try:
            return await self._tried(client, request, key, charge)
        finally:
            self._under_way -= 1
            self._throttled.discard(key)

    async def _tried(self, client: ChatClient, request: Request, key: str, charge: Charge) -> Completion | None:
        tries = 0
        failed = Failures()
        while not self.stopping:
            if self._session.pacer.paced:
                await self.idly(self._session.pacer.wait())
            sent_at = time.monotonic()
            self._tally.in_flight[key] = sent_at
            self._tally.first_sent_at = self._tally.first_sent_at or sent_at
            try:
                completion = await client.complete(request, key, charge.replied)
            except CallError as error:
                self._tally.note(error)
                charge.failed(error)
                self._note(failed, error, key, sent_at)
                if await self._waits(client, error, key, sent_at, failed):
                    await self._refused(error, sent_at, failed)
                    continue
                tries += 1
                if error.kind == "throttled" or not error.retryable or tries >= self._most_tries(failed.kinds):
                    asked = client.model
                    return Completion(
                        key, asked, tries=tries, error_kind=error.kind, error=error.message, asked_model=asked
                    )
                await self.idly(asyncio.sleep(backoff_s(tries)))
            else:
                self._session.answered(completion.model)
                charge.replied(completion)
                return replace(completion, tries=tries + 1)
            finally:
                self._tally.in_flight.pop(key, None)
        return None

    def _note(self, failed: Failures, error: CallError, key: str, sent_at: float) -> None:
        if error.kind == "throttled":
            self._throttled.add(key)
        others_answered = self._session.answered_since(failed.last_at or sent_at)
        failed.note(error.kind, others_answered=others_answered, crowd=2 * len(self._throttled) > self._under_way)
        if failed.apart_since is not None:
            self._throttled.discard(key)

    async def _waits(self, client: ChatClient, error: CallError, key: str, sent_at: float, failed: Failures) -> bool:
        """Whether an error is the endpoint's and not the row's, so that it uses up no try.

        An endpoint that has answered nothing for as long as patience lasts is asked for one token: if it gives that,
        the rows that are left are at fault, as they may be where all others were paid for by earlier runs.

        Raises:
            EndpointError: no other call will fare better.
        """
        session = self._session
        if error.kind in STOPS or (error.kind in REJECTIONS and session.rejected(error)):
            raise messages.wrong_endpoint(session.entry, error) from error
        if error.kind == "throttled" and failed.apart_since is not None:
            return failed.last_at - failed.apart_since <= session.patience_s
        waits = await self._may_be_away(client, error, key, sent_at, failed)
        at_start = error.kind in OUTAGES and not session.has_answered
        if not (waits or at_start) or (silent_s := session.silent_s()) <= session.patience_s:
            return waits
        if not await session.proves_to_answer(client):
            raise messages.no_answer(session.entry, silent_s, error, ever=session.has_answered) from error
        return False

    async def _may_be_away(
        self, client: ChatClient, error: CallError, key: str, sent_at: float, failed: Failures
    ) -> bool:
        """Whether an error may be the endpoint's.

        Others that were answered meanwhile say that it is there. A call that is throttled while others are answered
        between its tries, and most are not throttled, may be too large for what the caller may ask: it has failed when
        its own patience ends. At the end of a run there may be no others: when few calls fail, the endpoint is asked
        whether it is there, which costs nothing, and few that are throttled have failed when patience ends.
        """
        session = self._session
        if error.kind == "throttled" and session.proved:
            return failed.last_at - failed.first_at <= session.patience_s
        if error.kind == "throttled":
            many = failed.outrun <= FEW_OUTRUN and session.failing(key) > _FEW_CALLS
            return many or session.silent_s() <= session.patience_s
        if error.kind not in OUTAGES or session.answered_since(sent_at):
            return False
        many = session.failing(key) > _FEW_CALLS and not session.proved
        return many or not await client.answers()

    def _most_tries(self, failed: Counter[Kind]) -> int:
        # An answer that cannot be read was paid for, and mostly comes again.
        return _MOST_UNREADABLE if failed["garbage"] >= _MOST_UNREADABLE else self._session.entry.limits.max_tries

    async def _refused(self, error: CallError, sent_at: float, failed: Failures) -> None:
        """Wait for another turn."""
        session = self._session
        window, priority, patience_s = session.window, self._priority, session.patience_s
        # A Retry-After of 0, or a date that has passed, is no leave to hammer; one of a day is no leave to sleep.
        pause_s, left_s = error.retry_after_s or None, max(0.0, patience_s - session.silent_s())
        if error.kind == "throttled" and failed.apart_since is not None:
            # It tells nothing of the endpoint, and holds nobody back. What it was told to wait has not helped it.
            away_s = min(max(pause_s or 0.0, backoff_s(failed.tries_apart)), patience_s)
            await self.idly(window.exchange(priority, again=True, after_s=away_s))
            return
        narrow = error.kind in ("throttled", "overloaded")
        window.refused(sent_at, pause_s, narrow=narrow, most_s=left_s + _BEYOND_PATIENCE_S)
        await self.idly(window.exchange(priority, again=failed.kinds.total() > 1))

    async def idly(self, wait: Coroutine[Any, Any, None]) -> None:
        """Wait for something that is no call; cancelled when the run stops."""
        if self.stopping:
            wait.close()
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None, "calls are tasks"  # noqa: S101
        self._idle.add(task)
        try:
            await wait
        finally:
            self._idle.discard(task)
