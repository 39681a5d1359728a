"""A time limit that a sleeping process does not use up.

A process that is stopped (SIGSTOP, a closed lid, a frozen virtual machine) wakes with replies that lie in its sockets:
paid for, and not yet read. A plain time limit would end those calls before they are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_LATE_S = 1.0
"""A timer that fires this much later than it should says that the process slept, or that its loop was blocked."""
_GRACE_S = 15.0
"""Time after such a sleep, for what waits in the sockets to be read."""


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Limit what is awaited inside.

    Raises:
        TimeoutError: the seconds are over, and this process was awake in the last of them.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        timer: asyncio.TimerHandle

        def due(at: float) -> None:
            nonlocal timer
            if loop.time() - at > _LATE_S:
                later = loop.time() + _GRACE_S
                timer = loop.call_at(later, due, later)
            else:
                limit.reschedule(loop.time())

        begin = loop.time() + seconds
        timer = loop.call_at(begin, due, begin)
        try:
            yield
        finally:
            timer.cancel()
