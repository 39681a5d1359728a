"""Messages between the driver and its zygote: each a packet of the socket between them, of one fixed shape."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_SHAPE = struct.Struct("!cIidQ")
SIZE = 4096
"""Of the largest packet."""

OPEN, SIGNAL = b"O", b"S"
"""To the zygote: fork a session (its pipes come along; `seed`), send it a signal (`number`)."""
READY, REFUSED, FAILED, ENDED = b"R", b"N", b"F", b"E"
"""From the zygote: it is ready; it is not, and why; a session was not forked (`number` is the kernel's); one ended."""


@dataclass(frozen=True, slots=True)
class Message:
    """One packet; `slot` says which session is meant."""

    kind: bytes
    slot: int = 0
    number: int = 0
    """Signal, error, or status of `wait`."""
    seconds: float = 0.0
    """CPU time."""
    amount: int = 0
    """Seed, or peak memory in kB."""
    words: str = ""

    def pack(self) -> bytes:
        """The packet."""
        head = _SHAPE.pack(self.kind, self.slot, self.number, self.seconds, self.amount)
        return (head + self.words.encode("utf-8", "replace"))[:SIZE]


def read(packet: bytes) -> Message:
    """The message of a packet."""
    head, words = packet[: _SHAPE.size], packet[_SHAPE.size :]
    kind, slot, number, seconds, amount = _SHAPE.unpack(head)
    return Message(kind, slot, number, seconds, amount, words.decode("utf-8", "replace"))
