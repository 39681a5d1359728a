"""Two pipes between the driver and a session: cells one way, replies the other."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from typing import Any

_PIPE_BYTES = 4096
"""Capacity of a pipe. The kernel counts them by user, and a thousand sessions must leave some to other programs."""


class Channel:
    """The driver's ends of a session's pipes, neither of which ever blocks; `theirs` are the session's ends."""

    def __init__(self) -> None:
        """Make both pipes.

        Raises:
            OSError: this process has too many descriptors.
        """
        cells_read, self._cells = os.pipe()
        try:
            self._replies, replies_written = os.pipe()
        except OSError:
            os.close(cells_read)
            os.close(self._cells)
            raise
        self.theirs = (cells_read, replies_written)
        for end in (self._cells, self._replies):
            os.set_blocking(end, False)
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._open = True

    def close_theirs(self) -> None:
        """Close the session's ends here, once the session has them."""
        for end in self.theirs:
            os.close(end)

    def close(self) -> None:
        """Close the driver's ends; nobody may be reading or writing."""
        if self._open:
            self._open = False
            os.close(self._cells)
            os.close(self._replies)

    def has_more(self) -> bool:
        """Whether bytes wait that nobody asked for.

        Raises:
            EOFError: the session is gone.
            OSError: this end is closed.
        """
        try:
            if not self._read(1):
                raise EOFError
        except BlockingIOError:
            return False
        return True

    async def read(self, size: int) -> bytes:
        """Exactly so many bytes.

        Raises:
            EOFError: the session is gone.
            OSError: this end is closed.
        """
        loop = asyncio.get_running_loop()
        data = b""
        while len(data) < size:
            try:
                part = self._read(size - len(data))
            except BlockingIOError:
                await _ready(self._replies, loop.add_reader, loop.remove_reader)
                continue
            if not part:
                raise EOFError
            data += part
        return data

    async def write(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            OSError: the session is gone, or this end is closed.
        """
        loop = asyncio.get_running_loop()
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._checked(self._cells), left) :]
            except BlockingIOError:
                await _ready(self._cells, loop.add_writer, loop.remove_writer)

    def _read(self, size: int) -> bytes:
        return os.read(self._checked(self._replies), size)

    def _checked(self, end: int) -> int:
        """The descriptor, unless it is closed: its number may be another session's by now."""
        if not self._open:
            raise OSError("the channel is closed")
        return end


async def _ready(end: int, watch: Callable[..., Any], unwatch: Callable[[int], Any]) -> None:
    """Wait until the event loop sees that a descriptor can be read or written."""
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    watch(end, _note, ready)
    try:
        await ready
    finally:
        unwatch(end)


def _note(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
