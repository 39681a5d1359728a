"""Limits of sessions and the results of cells: values that callers give and get."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

CUT_MARK = "<output cut>"


@dataclass(frozen=True)
class Limits:
    """Limits of a session and of each of its cells."""

    seconds: float = 10.0
    """Of one cell, from the moment at which it has a core."""
    grace_seconds: float = 0.5
    """After which a cell that did not heed the interrupt is killed, and its variables with it."""
    characters: int = 1000
    """Of standard output, and as many of standard error; the rest is cut."""
    memory_mb: int = 1024
    """Of a session, beside what the mathematics takes by itself."""
    scratch_mb: int = 16
    """Of a session's own directory in memory, at the level `namespaces`; elsewhere nothing can be written."""
    replay_seconds: float = 60.0
    """For all earlier cells together, when a session is rebuilt."""

    def __post_init__(self) -> None:
        """Refuse limits within which nothing could run.

        Raises:
            ValueError: names the limit.
        """
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be {least} at least, and is {getattr(self, name)}")

    @property
    def identity(self) -> dict[str, object]:
        """Those that decide what a cell answers, as JSON can hold them."""
        return {name: getattr(self, name) for name in ("seconds", "characters", "memory_mb", "scratch_mb")}


_LEAST = {"seconds": 0.01, "grace_seconds": 0.0, "characters": 1, "memory_mb": 16, "scratch_mb": 1, "replay_seconds": 0}


class Status(StrEnum):
    """Ends of a cell."""

    COMPLETED = "completed"
    ERROR = "error"
    """It raised; `stderr` says what."""
    TIMEOUT = "timeout"
    """It was interrupted at its limit; its variables are kept."""
    KILLED = "killed"
    """It did not heed the interrupt; its variables are lost."""
    CRASHED = "crashed"
    """Its process ended; its variables are lost."""
    BROKEN = "broken"
    """Its process answered with bytes that the runner does not write, and was ended."""
    STATE_LOST = "state_lost"
    """Not run, since the variables of earlier cells could not be made again; the next cell finds none."""
    UNAVAILABLE = "unavailable"
    """The sandbox died or was closed, before the cell or in the middle of it. That says nothing of the cell."""


STATE_KEPT = frozenset({Status.COMPLETED, Status.ERROR, Status.TIMEOUT})
"""Ends after which the next cell finds the variables."""


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of one cell. Both texts are a stranger's: control characters are taken out, nothing else."""

    status: Status
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    """From the core to the answer."""
    waited_seconds: float = 0.0
    """For a core, and for the process to be there."""
    rebuilt: bool = False
    """Whether earlier cells were run again before it."""

    @property
    def settled(self) -> bool:
        """Whether it tells of the cell, and may be kept; otherwise another try may fare better."""
        return self.status is not Status.UNAVAILABLE
