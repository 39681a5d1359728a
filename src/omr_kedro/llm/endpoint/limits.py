"""How many calls may be in flight, and how fast they may start.

`Window` adapts as TCP does: one more slot after a window's worth of successes, three quarters of the slots after a
refusal (429, 503). A burst of refusals counts once: calls that were sent before the last cut say nothing about the
window after it. `Pacer` spaces the starts evenly, which keeps a rolling requests-per-minute limit whatever its phase.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count, cycle

from omr_kedro.llm.calls.plan import Priority

_Queue = list[tuple[Priority, int, asyncio.Future[None]]]

_REFUSED, _FOLLOWING, _NEW = 0, 1, 2
_SHRINK = 0.75
_DEFAULT_PAUSE_S = 0.25
_MAX_PAUSE_S = 60.0
_MAX_ABSENCE_PAUSE_S = 10.0  # An endpoint that comes back should not wait long for us.


@dataclass(frozen=True)
class Limits:
    """How hard an endpoint may be asked."""

    max_in_flight: int = 64
    requests_per_minute: float | None = None
    """Calls that may start in a minute; None or 0 for as many as there are."""
    timeout_s: float = 600
    """Limit of a try, from sending to the last byte. Hosted queues answer after minutes: a short limit pays twice."""
    max_tries: int = 6
    """Tries of a call whose errors may pass. Refusals (429, 503) that others meet as well use up none."""
    patience_s: float = 900
    """How long an endpoint that has answered before may refuse every call before the run stops."""
    start_patience_s: float = 60
    """How long one may that has answered nothing since the run began: it is more likely wrong than away."""


class Window:
    """A bounded number of calls in flight."""

    def __init__(self, slots: int) -> None:
        self.max_slots = slots
        self.slots = float(slots)
        self.in_flight = 0
        self._waiting: _Queue = []
        self._again: _Queue = []
        """Calls that were refused more than once; they take turns with all others."""
        self._turns = cycle((False, True))
        self._away = 0
        self._arrivals = count()
        self._timer: asyncio.TimerHandle | None = None
        self._resume_at = 0.0
        self._pause_s = _DEFAULT_PAUSE_S
        self._cut_at = float("-inf")

    async def acquire(self, priority: Priority = (), *, following: bool = False) -> None:
        """Wait for a slot, and for the end of the pause that a refusal asked for.

        Args:
            priority: the lowest goes first, and equal ones as they came.
            following: whether the call goes on from an earlier one, which the server still has in its cache; such calls
                go before new ones.
        """
        await self._admitted((_FOLLOWING if following else _NEW, *priority))

    def may_follow(self, priority: Priority = ()) -> bool:
        """Whether the slot of a call that has ended may be used at once for one that goes on from it.

        Not where others go before it, where calls are held back, or where there are too many in flight already.
        """
        overtaken = self._again or (self._waiting and self._waiting[0][0] < (_FOLLOWING, *priority))
        return not overtaken and self.in_flight <= int(self.slots) and time.monotonic() >= self._resume_at

    async def exchange(self, priority: Priority = (), *, again: bool = False, after_s: float = 0.0) -> None:
        """Give the slot of a call that was refused to whoever may go, and wait for another one.

        Such calls go before new ones, or else they would pile up. Those that are refused `again` take turns with all
        others, or else a few that are refused for ever would keep them out. Whoever is cancelled meanwhile still holds
        a slot.

        Args:
            priority: as of `acquire`.
            again: whether it was refused more than once.
            after_s: seconds to wait before it asks for a slot. A window of calls that wait so lets no new one in.
        """
        self.release()
        try:
            if after_s:
                await self._stay_away(after_s)
            await self._admitted((_REFUSED, *priority), again=again)
        except asyncio.CancelledError:
            self.in_flight += 1
            raise

    async def _stay_away(self, seconds: float) -> None:
        self._away += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._away -= 1

    async def _admitted(self, rank: Priority, *, again: bool = False) -> None:
        admitted = asyncio.get_running_loop().create_future()
        heappush(self._again if again else self._waiting, (rank, next(self._arrivals), admitted))
        self._admit()
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():  # the slot and the cancellation came together
                self.release()
            raise

    def release(self) -> None:
        """Give the slot back."""
        self.in_flight -= 1
        self._admit()

    def succeeded(self) -> None:
        """Take note of a call that was answered: grow by one slot for every window of them."""
        self.slots = min(self.max_slots, self.slots + 1 / self.slots)
        self._pause_s = _DEFAULT_PAUSE_S
        self._admit()

    def refused(
        self, sent_at: float, retry_after_s: float | None, *, narrow: bool = True, most_s: float = math.inf
    ) -> None:
        """Hold new calls back, since one that was sent at `sent_at` (monotonic seconds) was refused; once a burst.

        Args:
            sent_at: calls that were sent before the last refusal say nothing new.
            retry_after_s: how long the endpoint asks to wait.
            most_s: the longest pause that makes sense.
            narrow: whether there are to be fewer slots: not for an endpoint that is away, since it asks for no less.
        """
        now = time.monotonic()
        if sent_at > self._cut_at:
            self._cut_at = now
            self.slots = max(1.0, self.slots * _SHRINK) if narrow else self.slots
            self._pause_s = min(_MAX_PAUSE_S if narrow else _MAX_ABSENCE_PAUSE_S, self._pause_s * 2)
        pause = self._pause_s / 2 if retry_after_s is None else retry_after_s
        self._resume_at = max(self._resume_at, now + min(pause, most_s))

    def _admit(self) -> None:
        """Hand free slots to those who wait; a slot counts as taken from here on, so that nobody can overtake."""
        while self.in_flight < int(self.slots) and (queue := self._next_queue()):
            if (wait := self._resume_at - time.monotonic()) > 0:
                self._admit_in(wait)
                return
            _, _, admitted = heappop(queue)
            if not admitted.done():  # else its call was cancelled
                self.in_flight += 1
                admitted.set_result(None)

    def _next_queue(self) -> _Queue:
        """The queue whose first call may go; an empty one when none may."""
        waiting = self._waiting
        if self._away >= self.max_slots and waiting and waiting[0][0][0] == _NEW:
            waiting = []
        first, second = (self._again, waiting) if next(self._turns) else (waiting, self._again)
        return first or second

    def _admit_in(self, wait_s: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._resume)

    def _resume(self) -> None:
        self._timer = None
        self._admit()


class Pacer:
    """Spaces the starts of calls evenly; no limit when `per_minute` is None or 0."""

    def __init__(self, per_minute: float | None) -> None:
        self._gap_s = 60 / per_minute if per_minute else 0.0
        self._next = 0.0

    @property
    def paced(self) -> bool:
        """Whether there is a limit."""
        return self._gap_s > 0

    async def wait(self) -> None:
        """Wait for the next start."""
        if not self._gap_s:
            return
        now = time.monotonic()
        start = max(now, self._next)
        self._next = start + self._gap_s
        await asyncio.sleep(start - now)
