"""From requests and episodes to completions, with a window of calls in flight that spans shards.

One feeder walks through what is asked about the shards' rows and starts a call whenever the window has a slot: the next
shard's first calls run beside the last shard's slow ones, so that no tail leaves the server idle. An episode is opened
with a slot for its first call; its later ones go before what is not open yet. Every finished call goes to the journal
before it counts; a shard is handed out when its last call has ended. The event loop runs in a thread of its own, and
finished shards come out of a plain iterator.
"""

from __future__ import annotations

import asyncio
import logging
import queue
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from concurrent.futures import Future, wait

from omr_kedro.llm.calls.episode import Ask, Episode
from omr_kedro.llm.calls.errors import ModelServerError, SpendingLimitError
from omr_kedro.llm.calls.plan import CallPlan
from omr_kedro.llm.calls.request import Completion, Request
from omr_kedro.llm.endpoint.client import ChatClient
from omr_kedro.llm.engine import messages
from omr_kedro.llm.engine.journal import JournalWriter, ShardJournal
from omr_kedro.llm.engine.live_steps import LiveSteps
from omr_kedro.llm.engine.open_shard import OpenShard
from omr_kedro.llm.engine.progress import Display, Tally, display
from omr_kedro.llm.engine.session import ModelSession
from omr_kedro.llm.engine.tries import Tries
from omr_kedro.shards import Finished, OmrError, Scratch

logger = logging.getLogger(__name__)

_TICK_S = 0.5
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
        self._priority = plan.priority or ()
        self._tries = Tries(session, self.tally, self._priority)
        self._client: ChatClient | None = None
        self._connecting = asyncio.Lock()
        self._server_number = 0
        self._tasks: set[asyncio.Task[None]] = set()
        """Of each request, and of each episode."""
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
                    self.tally.retired += shard.retire()
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
            if under_way := self.tally.under_way:
                logger.warning(
                    "%s: stopping; waiting for the %s, which are paid for. Ctrl-C again gives them up.",
                    self._plan.name,
                    under_way,
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
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            for shard in self._open:
                shard.journal.close()
            if self._client:
                await self._client.__aexit__(None, None, None)
        if self._fatal is None and self.tally.episodes:
            self.tally.expected = self.tally.done  # nobody could know before how many calls they would make
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
            shard = OpenShard(shard_id, await asyncio.to_thread(ShardJournal, scratch), damaged=scratch.damaged)
            self._open.add(shard)
            for number, ask in enumerate(self._plan.asks(shard_id)):
                await self._begin(shard, number, ask)
                if number % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
            shard.fed = True
            self._hand_out(shard)

    async def _begin(self, shard: OpenShard, number: int, ask: Ask) -> None:
        if isinstance(ask, Episode):
            await self._session.episodes.acquire(self._priority)
            try:
                await self._session.window.acquire(self._priority)
            except asyncio.CancelledError:
                self._session.episodes.release()
                raise
            self._start(shard, self._play(shard, number, ask))
            return
        key = ask.key(self._session.entry.identity)
        shard.rows.append((number, ask.identity(), key))
        if key in shard.journal:
            self.tally.reused += shard.reuse(key)
        elif key not in shard.asked:
            if self._client is None:
                await self._connect()
            await self._session.window.acquire(self._priority)
            shard.begin(key)
            self._start(shard, self._call(shard, ask, key))

    def _start(self, shard: OpenShard, work: Coroutine[None, None, None]) -> None:
        shard.under_way += 1
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.stop(error)

    async def _call(self, shard: OpenShard, request: Request, key: str) -> None:
        try:
            await self.call(shard, request, key)
        finally:
            self._session.window.release()
            shard.abandon(key)
        shard.under_way -= 1
        self._hand_out(shard)

    async def _play(self, shard: OpenShard, number: int, episode: Episode) -> None:
        steps = LiveSteps(self, shard, episode)
        self.tally.open_episodes[id(steps)] = steps.began
        try:
            end = await steps.play()
        finally:
            self.tally.open_episodes.pop(id(steps))
            self._session.episodes.release()
            await steps.close()
        shard.add(number, steps.steps, end)
        shard.under_way -= 1
        self.tally.end_episode(end.completion.error_kind if end else None)
        self._hand_out(shard)

    @property
    def plan(self) -> CallPlan:
        """The plan that is carried out."""
        return self._plan

    @property
    def stopping(self) -> bool:
        """Whether no step may start any more."""
        return self._tries.stopping

    @property
    def may_follow(self) -> bool:
        """Whether a slot in which a call has ended may be used for the next one of its episode at once."""
        return self._session.window.may_follow(self._priority)

    async def following_slot(self) -> None:
        """Wait for a slot of the window, before all that is not open yet."""
        await self._tries.idly(self._session.window.acquire(self._priority, following=True))

    def give_back(self) -> None:
        """Give back a slot."""
        self._session.window.release()

    async def call(self, shard: OpenShard, request: Request, key: str) -> Completion:
        """Make a call that the shard knows to have begun; the caller holds a slot.

        Raises:
            CancelledError: the run is stopping. Errors of the run are kept by the engine, and not raised here.
        """
        try:
            client = self._client or await self._connect()
            with self._session.spending.call(self._plan.name, self._session.price, request) as charge:
                completion = await self._tries.outcome(client, request, key, charge)
            if completion is None:
                raise asyncio.CancelledError
            await self._settle(shard, completion, request)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # the run ends with it, after the calls in flight
            self.stop(error)
            raise asyncio.CancelledError from error
        return completion

    async def run_code(self, shard: OpenShard, run: Awaitable[Completion]) -> Completion:
        """Have code run that the shard knows to have begun; errors as of `call`."""
        try:
            with self.tally.running():
                completion = await run
            await self._settle(shard, completion, None)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # the sandbox does not start: the run ends, after the calls in flight
            self.stop(error)
            raise asyncio.CancelledError from error
        return completion

    async def _settle(self, shard: OpenShard, completion: Completion, request: Request | None) -> None:
        """Keep the outcome of a request, or of code where there is none."""
        if completion.settled:
            await self._writer.append(shard.journal, completion)
        if completion.error_kind or (request and request.asks_model):
            self.tally.add(completion)
        elif request is None:
            self.tally.code_runs += 1
        if completion.error_kind and request is None:
            self.tally.code_not_run += 1
            self.tally.last_error = f"{completion.error_kind}: {completion.error}"
        shard.settle(completion)
        if completion.error_kind:
            self._check_failures()

    async def _connect(self) -> ChatClient:
        # Held across the start of a server: a second caller waits for it, and starts none when it failed.
        async with self._connecting:
            if self.stopping:
                raise asyncio.CancelledError
            if self._client is None:
                self._session.check_halted()
                client = await self._session.client()
                self._server_number = self._session.server_number
                self._client = await client.__aenter__()
            return self._client

    def _hand_out(self, shard: OpenShard) -> None:
        if shard.ended and shard in self._open:
            self._open.discard(shard)
            if shard.damaged:
                logger.warning(messages.healed(self._plan.name, shard.id, shard.found, shard.made))
            self._finished.put(shard)

    def stop(self, error: BaseException | None) -> None:
        """Start no more calls; those in flight go on, those that wait for their turn do not."""
        self._fatal = self._fatal or error or asyncio.CancelledError()
        self._tries.stop()
        if self._feeder:
            self._feeder.cancel()

    def give_up(self) -> None:
        """Abandon the calls in flight; they are paid for and lost."""
        # A turn later: a task that was not even begun would never give back the slot that it was started with.
        asyncio.get_running_loop().call_soon(self._cancel_all)

    def _cancel_all(self) -> None:
        for task in self._tasks:
            task.cancel()

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
