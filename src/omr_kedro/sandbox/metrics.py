"""Counts of a pool: cells by their end, sessions, seconds, memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field

from omr_kedro.sandbox.limits import Result, Status


@dataclass(frozen=True, slots=True)
class Usage:
    """Use that was made of a sandbox, as runs and jobs keep account of it; sums are over sandboxes and jobs."""

    cells: int = 0
    """All of them; those without an end of the following kinds were completed."""
    errors: int = 0
    timeouts: int = 0
    kills: int = 0
    crashes: int = 0
    """Ended with their process, or answered what no session says."""
    state_lost: int = 0
    unavailable: int = 0
    seconds: float = 0.0
    """In which cells ran, by the clock, all added up."""
    peak_memory_mb: float = 0.0
    """Of the largest session; the larger one of two in a sum."""

    def __add__(self, other: Usage) -> Usage:
        mine, theirs = asdict(self), asdict(other)
        sums = {name: mine[name] + theirs[name] for name in mine}
        return Usage(**{**sums, "peak_memory_mb": max(self.peak_memory_mb, other.peak_memory_mb)})

    def __str__(self) -> str:
        counts = {
            "with an error": self.errors,
            "out of time": self.timeouts,
            "killed": self.kills,
            "crashed": self.crashes,
            "not run": self.state_lost + self.unavailable,
        }
        ends = ", ".join(f"{count:,} {end}" for end, count in counts.items() if count)
        runs = f"{self.cells:,} run{'' if self.cells == 1 else 's'}{f' ({ends})' if ends else ''}"
        return f"{runs}, {self.seconds:,.0f} s together, {self.peak_memory_mb:,.0f} MB at most"


@dataclass
class Metrics:
    """Tallies of all cells and sessions of a sandbox, or of one pool."""

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

    @property
    def usage(self) -> Usage:
        """Counts that a run or a job keeps. Any thread may ask, while cells go on to be counted."""
        return Usage(
            cells=sum(self.cells[status] for status in Status),
            errors=self.cells[Status.ERROR],
            timeouts=self.cells[Status.TIMEOUT],
            kills=self.cells[Status.KILLED],
            crashes=self.cells[Status.CRASHED] + self.cells[Status.BROKEN],
            state_lost=self.cells[Status.STATE_LOST],
            unavailable=self.cells[Status.UNAVAILABLE],
            seconds=round(self.seconds, 3),
            peak_memory_mb=round(self.peak_memory_mb, 1),
        )

    def row(self) -> dict[str, int | float]:
        """All of them by name, as a table or a log has them."""
        times = {name: round(getattr(self, name), 3) for name in ("waited_seconds", "cpu_seconds")}
        names = ("sessions", "rebuilt", "evicted", "zygotes")
        return {**asdict(self.usage), **times, **{name: getattr(self, name) for name in names}}
