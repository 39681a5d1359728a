"""A wall clock that somebody sets, again and again: forwards and backwards, by seconds or by years."""

from __future__ import annotations

import datetime
import random
import time

import omr_kedro.llm.calls.errors


def jump(rng: random.Random) -> None:
    """Let every look at the wall clock in this process find it set anew; the monotonic clock goes on.

    `datetime` is written in C and asks the kernel; it is replaced where omr_kedro asks it for the time.
    """
    real = time.time
    draws = random.Random(rng.random())

    def now() -> float:
        return max(0.0, real() + draws.choice([-1, 1]) * 10 ** draws.uniform(0, 8.5))

    class Moment(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
            return datetime.datetime.fromtimestamp(now(), tz)

    time.time = now
    omr_kedro.llm.calls.errors.datetime = Moment  # type: ignore[attr-defined]
