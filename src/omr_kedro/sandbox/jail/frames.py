"""Bytes between the driver and a session: lengths, then text. Nothing in them is ever parsed further.

The driver believes a reply's head only within bounds that it sets itself, since the session's code may write what it
likes into its end of the pipe.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

CELL_HEAD = struct.Struct("!II")
"""Before each cell: its number, by which tracebacks name it, and bytes of its code."""
MOST_CODE_BYTES = 1 << 20
"""Of one cell; a model writes a few thousand."""
REPLY_HEAD = struct.Struct("!BBII")
"""Before each reply: kind, which output was cut, bytes of standard output and of standard error."""
STDOUT_CUT, STDERR_CUT = 1, 2
"""Bits of what was cut."""

FAILED, COMPLETED, READY, UNCONFINED = range(4)
"""Kinds of replies: the cell raised, or did not; the process is confined and waits; it could not be confined."""
BYTES_PER_CHARACTER = 4
"""At most, in UTF-8."""
WORDS_BYTES = 500
"""At most, of the words in which a process says why it could not be confined."""


class BrokenFrameError(ValueError):
    """Bytes that the runner of cells does not write."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a reply, found within bounds."""

    kind: int
    stdout_cut: bool
    stderr_cut: bool
    stdout_bytes: int
    stderr_bytes: int


def pack_cell(number: int, code: str) -> bytes:
    """One cell as the runner reads it; text that is no UTF-8 is sent with `?`.

    Raises:
        ValueError: it is longer than `MOST_CODE_BYTES`.
    """
    data = code.encode("utf-8", "replace")
    if len(data) > MOST_CODE_BYTES:
        raise ValueError(f"a cell has {MOST_CODE_BYTES:,} bytes at most, and this one {len(data):,}")
    return CELL_HEAD.pack(number, len(data)) + data


def pack_reply(kind: int, stdout: bytes = b"", stderr: bytes = b"", cut: int = 0) -> bytes:
    """One reply as the driver reads it."""
    return REPLY_HEAD.pack(kind, cut, len(stdout), len(stderr)) + stdout + stderr


def read_head(data: bytes, most_bytes: int) -> Head:
    """The head of a reply.

    Args:
        data: as many bytes as `REPLY_HEAD` has.
        most_bytes: that either text may have.

    Raises:
        BrokenFrameError: it is of no kind, or announces more.
    """
    kind, cut, stdout_bytes, stderr_bytes = REPLY_HEAD.unpack(data)
    if kind > UNCONFINED or cut > STDOUT_CUT | STDERR_CUT or max(stdout_bytes, stderr_bytes) > most_bytes:
        raise BrokenFrameError("a reply that the runner does not write")
    return Head(kind, bool(cut & STDOUT_CUT), bool(cut & STDERR_CUT), stdout_bytes, stderr_bytes)
