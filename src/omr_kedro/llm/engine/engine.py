"""From requests to completions, with a window of calls in flight that spans shards.

One feeder walks through the shards' requests and starts a call whenever the window has a slot: the next shard's first
calls run beside the last shard's slow ones, so that no tail leaves the server idle. Every finished call goes to the
journal before it counts; a shard is handed out when its last call has ended. The event loop runs in a thread of its
own, and finished shards come out of a plain iterator.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace

from omr_kedro.llm.calls.errors import (
    OUTAGES,
    REJECTIONS,
    STOPS,
    CallError,
    Kind,
    ModelServerError,
    SpendingLimitError,
)
from omr_kedro.llm.calls.plan import CallPlan
from omr_kedro.llm.calls.request import Completion, Request
from omr_kedro.llm.endpoint.client import ChatClient
from omr_kedro.llm.endpoint.spending import Charge
from omr_kedro.llm.engine import messages
from omr_kedro.llm.engine.failures import FEW_OUTRUN, MANY_OUTRUN, Failures, backoff_s
from omr_kedro.llm.engine.journal import JournalWriter, ShardJournal
from omr_kedro.llm.engine.open_shard import OpenShard
from omr_kedro.llm.engine.progress import Display, Tally, display
from omr_kedro.llm.engine.session import ModelSession
from omr_kedro.shards import Finished, OmrError, Scratch

logger = logging.getLogger(__name__)

_MOST_UNREADABLE = 2
_FEW_CALLS = 8  # Calls that a server may refuse for what they ask, while it is well.
_TICK_S = 0.5
_BEYOND_PATIENCE_S = 0.05  # A last try comes when patience has ended, and not a moment before.
_MOST_UNWRITTEN = 1  # Finished shards that may wait for the disk: more would be memory that grows with the table.
_WRITER_POLL_S = 0.01
_YIELD_EVERY = 64  # Requests found in the journal, after which the feeder lets the calls in flight have the loop.


class Engine:
    """Makes the calls of one table."""

    def __init__(
        self, plan: CallPlan, session: ModelSession, pending: Sequence[str], scratch: Callable[[str], Scratch]
    ) -> None:
        self._plan = plan
        self._session = session
        self._pending = pending
        self._scratch = scratch
        self.tally = Tally(
            plan.name,
            session.entry.name,
            expected=sum(plan.expected[name] for name in pending),
            per_minute=session.entry.limits.requests_per_minute,
            price=session.price,
        )
        self._writer = JournalWriter()
        self._client: ChatClient | None = None
        self._server_number = 0
        self._calls: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.Task[None]] = set()
        """Those of the calls that wait for their turn, so that nothing is lost when they are cancelled."""
        self._open: set[OpenShard] = set()
        self._fatal: BaseException | None = None
        self._feeder: asyncio.Task[None] | None = None
        self._finished: queue.SimpleQueue[OpenShard | None] = queue.SimpleQueue()

    def run(self) -> Generator[Finished, None, None]:
        """Yield the shards as they finish.

        When the consumer stops early (Ctrl-C, a full disk), no new call starts, and those in flight may end: they are
        paid for. A second Ctrl-C gives them up.

        Raises:
            EndpointError, ModelServerError, TooManyFailuresError, SpendingLimitError: all calls that ended are in the
                journal.
        """
        with self._session.run(self, self._main()) as calls:
            calls.add_done_callback(lambda _: self._finished.put(None))
            try:
                while (shard := self._finished.get()) is not None:
                    yield shard.finish()
            finally:
                self._wind_up(calls)
        if self._fatal:
            raise self._fatal
        if self._plan.priority is None:
            logger.info(self.tally.closing())

    def _wind_up(self, calls: Future[None]) -> None:
        if not calls.done():
            self._session.call_soon(self.stop, None)
            if sent := len(self.tally.in_flight):
                logger.warning(
                    "%s: stopping; waiting for the %d calls in flight, which are paid for. Ctrl-C again gives them up.",
                    self._plan.name,
                    sent,
                )
        try:
            self._fatal = calls.exception() or self._fatal
        except KeyboardInterrupt:
            self._session.call_soon(self.give_up)
            wait([calls])
            raise

    async def _main(self) -> None:
        helpers = [asyncio.create_task(self._writer.run()), asyncio.create_task(self._watch())]
        self._feeder = asyncio.create_task(self._feed())
        if self._fatal:  # stopped before it began; nobody would take its shards
            self._feeder.cancel()
        try:
            await asyncio.gather(self._feeder, return_exceptions=True)
            if not self._feeder.cancelled() and (error := self._feeder.exception()):
                self.stop(error)
            while self._calls:
                await asyncio.wait(self._calls)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            for shard in self._open:
                shard.journal.close()
            if self._client:
                await self._client.__aexit__(None, None, None)
        if self._fatal is None and self.tally.failed > self._allowed_failures():
            self._fatal = self._too_many_failures()
        if isinstance(self._fatal, SpendingLimitError):
            self._fatal = messages.limit_reached(
                self._plan, self._session.spending, self.tally
            )  # only now is it known what the calls in flight took

    async def _feed(self) -> None:
        for shard_id in self._pending:
            while self._finished.qsize() > _MOST_UNWRITTEN:  # noqa: ASYNC110 (the queue is another thread's)
                await asyncio.sleep(_WRITER_POLL_S)
            # In a thread: what earlier runs have left may be long, and calls are in flight.
            scratch = self._scratch(shard_id)
            shard = OpenShard(shard_id, await asyncio.to_thread(ShardJournal, scratch))
            self._open.add(shard)
            before = self.tally.reused
            for number, request in enumerate(self._plan.requests(shard_id)):
                key = request.key(self._session.entry.identity)
                shard.rows.append((request.identity(), key))
                if key in shard.journal:
                    self.tally.reused += 1
                elif key not in shard.asked:
                    await self._start(shard, request, key)
                if number % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
            shard.fed = True
            if scratch.damaged:
                found = self.tally.reused - before
                logger.warning(messages.healed(self._plan.name, shard_id, found, len(shard.rows) - found))
            self._hand_out(shard)

    async def _start(self, shard: OpenShard, request: Request, key: str) -> None:
        if self._client is None:
            self._session.check_halted()
            client = await self._session.client()
            self._server_number = self._session.server_number
            self._client = await client.__aenter__()
        await self._session.window.acquire(self._plan.priority or ())
        shard.asked.add(key)
        call = asyncio.create_task(self._call(self._client, shard, request, key))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _call(self, client: ChatClient, shard: OpenShard, request: Request, key: str) -> None:
        try:
            with self._session.spending.call(self._plan.name, self._session.price, request) as charge:
                completion = await self._attempt(client, request, key, charge)
            if completion is None:
                return
            if completion.settled:
                await self._writer.append(shard.journal, completion)
            self.tally.add(completion)
            shard.settle(completion)
            self._hand_out(shard)
            if completion.error_kind:
                self._check_failures()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # the run ends with it, after the calls in flight
            self.stop(error)
        finally:
            self._session.window.release()

    async def _attempt(self, client: ChatClient, request: Request, key: str, charge: Charge) -> Completion | None:
        """Try until there is an outcome; None when the run is stopping."""
        tries = 0
        failed = Failures()
        while self._fatal is None:
            if self._session.pacer.paced:
                await self._idly(self._session.pacer.wait())
            sent_at = time.monotonic()
            self.tally.in_flight[key] = sent_at
            self.tally.first_sent_at = self.tally.first_sent_at or sent_at
            try:
                completion = await client.complete(request, key, charge.replied)
            except CallError as error:
                self.tally.note(error)
                charge.failed(error)
                failed.note(error.kind, others_answered=self._session.answered_since(failed.last_at or sent_at))
                self._check_start(error)
                if await self._waits(client, error, key, sent_at, failed):
                    await self._refused(error, sent_at, failed)
                    continue
                tries += 1
                if error.kind == "throttled" or not error.retryable or tries >= self._most_tries(failed.kinds):
                    asked = client.model
                    return Completion(
                        key, asked, tries=tries, error_kind=error.kind, error=error.message, asked_model=asked
                    )
                await self._idly(asyncio.sleep(backoff_s(tries)))
            else:
                self._session.answered(completion.model)
                charge.replied(completion)
                return replace(completion, tries=tries + 1)
            finally:
                self.tally.in_flight.pop(key, None)
        return None

    async def _waits(self, client: ChatClient, error: CallError, key: str, sent_at: float, failed: Failures) -> bool:
        """Whether an error is the endpoint's and not the row's, so that it uses up no try.

        Others that were answered meanwhile say that the endpoint is there. A call that is throttled while others are
        answered between its tries may be too large for what the caller may ask: it has failed when its own patience
        ends. At the end of a run there may be no others: when few calls fail, the endpoint is asked whether it is
        there, which costs nothing, and few that are throttled have failed when patience ends.

        Raises:
            EndpointError: no other call will fare better.
        """
        session = self._session
        patience_s = session.patience_s
        if error.kind in STOPS:
            raise messages.wrong_endpoint(session.entry, error) from error
        if error.kind in REJECTIONS and session.rejected(error):
            raise messages.wrong_endpoint(session.entry, error) from error
        if error.kind == "throttled" and failed.apart_since is not None:
            return failed.last_at - failed.apart_since <= patience_s
        if error.kind == "throttled":
            others = failed.outrun <= FEW_OUTRUN and session.failing(key) > _FEW_CALLS
            return others or session.silent_s() <= patience_s
        if error.kind not in OUTAGES or session.answered_since(sent_at):
            return False
        return session.failing(key) > _FEW_CALLS or not await client.answers()

    def _check_start(self, error: CallError) -> None:
        """Stop a run to which nothing but errors was ever answered, when the patience with a start is used up.

        Raises:
            EndpointError: names the last error.
        """
        session = self._session
        if session.has_answered or error.kind not in OUTAGES:
            return
        if (silent_s := session.silent_s()) > session.patience_s:
            raise messages.no_answer(session.entry, silent_s, error, ever=False)

    def _most_tries(self, failed: Counter[Kind]) -> int:
        # An answer that cannot be read was paid for, and mostly comes again.
        return _MOST_UNREADABLE if failed["garbage"] >= _MOST_UNREADABLE else self._session.entry.limits.max_tries

    async def _refused(self, error: CallError, sent_at: float, failed: Failures) -> None:
        """Wait for another turn.

        Raises:
            EndpointError: the endpoint has refused everything for as long as patience lasts.
        """
        session = self._session
        window, priority = session.window, self._plan.priority or ()
        silent_s, patience_s = session.silent_s(), session.patience_s
        # A Retry-After of 0, or a date that has passed, is no leave to hammer; one of a day is no leave to sleep.
        pause_s, left_s = error.retry_after_s or None, patience_s - silent_s
        if error.kind == "throttled" and failed.apart_since is not None:
            # It tells nothing of the endpoint, and holds nobody back.
            away_s = min(pause_s or backoff_s(failed.outrun - MANY_OUTRUN), patience_s)
            await self._idly(window.exchange(priority, again=True, after_s=away_s))
            return
        if silent_s > patience_s:
            raise messages.no_answer(session.entry, silent_s, error, ever=session.has_answered)
        narrow = error.kind in ("throttled", "overloaded")
        window.refused(sent_at, pause_s, narrow=narrow, most_s=left_s + _BEYOND_PATIENCE_S)
        await self._idly(window.exchange(priority, again=failed.kinds.total() > 1))

    async def _idly(self, wait: Awaitable[None]) -> None:
        call = asyncio.current_task()
        assert call is not None, "calls are tasks"  # noqa: S101
        self._idle.add(call)
        try:
            await wait
        finally:
            self._idle.discard(call)

    def _hand_out(self, shard: OpenShard) -> None:
        if shard.ended:
            self._open.discard(shard)
            self._finished.put(shard)

    def stop(self, error: BaseException | None) -> None:
        """Start no more calls; those in flight go on, those that wait for their turn do not."""
        self._fatal = self._fatal or error or asyncio.CancelledError()
        for call in self._idle:
            call.cancel()
        if self._feeder:
            self._feeder.cancel()

    def give_up(self) -> None:
        """Abandon the calls in flight; they are paid for and lost."""
        for call in self._calls:
            call.cancel()

    async def _watch(self) -> None:
        screen = display() if self._plan.priority is None else None
        try:
            while True:
                await asyncio.sleep(_TICK_S)
                self.tally.window = int(self._session.window.slots)
                self.tally.waits_s = self._session.waits_s
                screen = _shown(screen, self.tally)
                if self._fatal is None and self._client and (report := self._session.death_report(self._server_number)):
                    self.stop(ModelServerError(f"The model server died. The same command resumes.\n{report}"))
                    self.give_up()
        finally:
            _shown(screen, None)

    def _allowed_failures(self) -> float:
        return max(
            self._plan.tolerated_failures, self._plan.max_failed_share * max(self.tally.expected, self.tally.done)
        )

    def _check_failures(self) -> None:
        if self.tally.failed > self._allowed_failures():
            raise self._too_many_failures()

    def _too_many_failures(self) -> OmrError:
        if rejection := self._session.rejects_everything:
            return messages.wrong_endpoint(self._session.entry, rejection)
        return messages.too_many_failures(self._plan, self._session.entry, self.tally)


def _shown(screen: Display | None, tally: Tally | None) -> Display | None:
    """Show a tally, or close the display for None; a display that cannot be written to any more is given up.

    A run whose terminal is gone goes on: rich turns a broken pipe into `SystemExit`, which would end the loop of calls.
    """
    if screen is None:
        return None
    try:
        if tally is None:
            screen.close()
        else:
            screen.show(tally)
    except (OSError, ValueError, SystemExit):
        return None
    return screen
