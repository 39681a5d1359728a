"""Counts of a pool: cells by their end, sessions, seconds, memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from omr_kedro.sandbox.limits import Result, Status


@dataclass
class Metrics:
    """Tallies of all cells and sessions since the pool was made."""

    cells: Counter[Status] = field(default_factory=Counter)
    """By their end."""
    seconds: float = 0.0
    """In which cells ran, by the clock."""
    waited_seconds: float = 0.0
    """In which cells waited for a core and for their process."""
    cpu_seconds: float = 0.0
    """Of sessions that have ended."""
    peak_memory_mb: float = 0.0
    """Of the largest session that has ended, with what it shares with its zygote."""
    sessions: int = 0
    """Processes that were forked."""
    rebuilt: int = 0
    """Sessions whose earlier cells were run again."""
    evicted: int = 0
    """Idle sessions that had to make room."""
    zygotes: int = 0
    """Zygotes that were started; more than one after a death, or when one had served its time."""

    def add(self, result: Result) -> None:
        """Count a cell."""
        self.cells[result.status] += 1
        self.seconds += result.seconds
        self.waited_seconds += result.waited_seconds

    def add_end(self, cpu_seconds: float, peak_kb: int) -> None:
        """Count the end of a session's process."""
        self.cpu_seconds += cpu_seconds
        self.peak_memory_mb = max(self.peak_memory_mb, peak_kb / 1024)

    def row(self) -> dict[str, int | float]:
        """All of them by name, as a table or a log has them."""
        counts = {
            "cells": self.cells.total(),
            "errors": self.cells[Status.ERROR],
            "timeouts": self.cells[Status.TIMEOUT],
            "kills": self.cells[Status.KILLED],
            "crashes": self.cells[Status.CRASHED] + self.cells[Status.BROKEN],
            "state_lost": self.cells[Status.STATE_LOST],
            "unavailable": self.cells[Status.UNAVAILABLE],
        }
        times = {name: round(getattr(self, name), 3) for name in ("seconds", "waited_seconds", "cpu_seconds")}
        names = ("sessions", "rebuilt", "evicted", "zygotes")
        memory = {"peak_memory_mb": round(self.peak_memory_mb, 1)}
        return {**counts, **times, **memory, **{name: getattr(self, name) for name in names}}
