"""Progress of calls, for people: a live line on a terminal, plain log lines elsewhere, a closing line always."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from omr_kedro.llm.calls.errors import CallError
from omr_kedro.llm.calls.prices import Price
from omr_kedro.llm.calls.request import Completion
from omr_kedro.llm.endpoint.spending import in_words
from omr_kedro.shards.printable import printable_line

logger = logging.getLogger(__name__)

_LOG_EVERY_S = 30.0
_ERROR_CHARS = 100
"""Of the last error that the line shows."""
_STALLED_S = 60.0
"""A call older than this is worth a word: it tells a slow server from a dead connection."""


@dataclass
class Tally:
    """Counts of one table's calls."""

    name: str
    model: str
    expected: int
    per_minute: float | None = None
    """Calls that may start in a minute; None where there is no limit."""
    price: Price = field(default_factory=Price)
    reused: int = 0
    """Calls of earlier runs that were found in the journal, each counted once."""
    paid: int = 0
    failed: int = 0
    code_runs: int = 0
    """Pieces of code that were run to an outcome."""
    code_not_run: int = 0
    """Pieces of code that no sandbox has run to an outcome."""
    episodes: int = 0
    """Episodes that ended."""
    ended_early: Counter[str] = field(default_factory=Counter)
    """Those of them that came to no end of their own, by reason."""
    retired: int = 0
    """Steps that were paid for earlier and serve no more, since what is asked has changed; they are kept."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    """Errors of single tries by kind, those that a later try made good included."""
    last_error: str = ""
    """The last error of a try, as the endpoint worded it."""
    waits_s: float | None = None
    """Seconds that the endpoint will still be waited for; None while it answers."""
    window: int = 0
    in_flight: dict[str, float] = field(default_factory=dict)
    """Start (monotonic seconds) of each call in flight, by key; insertion order is age order."""
    open_episodes: dict[int, float] = field(default_factory=dict)
    """Start (monotonic seconds) of each open episode, in the order of their age."""
    code_in_flight: int = 0
    """Pieces of code that run, or wait for a core of the sandbox."""
    started: float = field(default_factory=time.monotonic)
    first_sent_at: float | None = None
    """When the first call was sent (monotonic seconds)."""

    @property
    def done(self) -> int:
        """Calls that ended, however."""
        return self.reused + self.paid + self.failed

    @property
    def under_way(self) -> str:
        """Calls in flight and code that runs, in words; empty where there are none."""
        calls, code = len(self.in_flight), self.code_in_flight
        parts = [f"{calls:,} calls in flight"] if calls else []
        parts += [f"{code:,} runs of code"] if code else []
        return " and ".join(parts)

    @property
    def used(self) -> str:
        """Tokens, and money where the price is known, in words."""
        money = self.price.of(self.prompt_tokens, self.completion_tokens)
        tokens = f"{self.prompt_tokens + self.completion_tokens:,} tokens"
        return tokens if money is None else f"{tokens}, {in_words(money)} in money"

    def note(self, error: CallError) -> None:
        """Count a try that failed."""
        self.errors[error.kind] += 1
        self.last_error = f"{error.kind}: {error.message}"

    def add(self, completion: Completion) -> None:
        """Count a call that ended just now."""
        if completion.error_kind is None:
            self.paid += 1
            self.prompt_tokens += completion.prompt_tokens
            self.completion_tokens += completion.completion_tokens
        else:
            self.failed += 1

    def end_episode(self, reason: str | None) -> None:
        """Count an episode that ended just now, and why where that was before its time."""
        self.episodes += 1
        if reason:
            self.ended_early[reason] += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count a piece of code as under way."""
        self.code_in_flight += 1
        try:
            yield
        finally:
            self.code_in_flight -= 1

    def oldest(self) -> tuple[str, float] | None:
        """Key and age in seconds of the oldest call in flight."""
        for key, started in self.in_flight.items():
            return key, time.monotonic() - started
        return None

    def line(self) -> str:
        """State of a run in progress, in one line."""
        seconds = max(time.monotonic() - self.started, 1e-9)
        rate = (self.paid + self.failed) / seconds
        parts = [f"{self.name}: {self.done:,}/{max(self.expected, self.done):,} calls"]
        if rate:
            left = max(self.expected - self.done, 0) / rate
            parts.append(f"{rate:.1f}/s, about {_duration(left)} left")
        parts += [self.used] if self.paid else []
        parts.append(f"{len(self.in_flight)} of {self.window} in flight")
        parts += [f"{self.code_in_flight} run code"] if self.code_in_flight else []
        if self.open_episodes:
            oldest_s = time.monotonic() - next(iter(self.open_episodes.values()))
            parts.append(f"{len(self.open_episodes):,} episodes open, the oldest since {_duration(oldest_s)}")
        parts += [f"at most {self.per_minute:g} a minute"] if self.per_minute else []
        parts += [f"{self.failed:,} failed"] if self.failed else []
        if self.errors:
            last = printable_line(self.last_error, _ERROR_CHARS)
            parts.append(f"tries that failed: {_counts(self.errors)}, last {last}")
        if self.waits_s is not None:
            parts.append(f"no answer; waits {_duration(self.waits_s)} more")
        if (oldest := self.oldest()) and oldest[1] > _STALLED_S:
            parts.append(f"oldest call {oldest[0]} since {_duration(oldest[1])}")
        return "; ".join(parts)

    def closing(self) -> str:
        """The closing line of a finished table: calls, tokens, failures, time."""
        tokens = f"{self.prompt_tokens:,} prompt + {self.completion_tokens:,} completion tokens"
        seconds = time.monotonic() - self.started
        retried = f"; tries that failed: {_counts(self.errors)}" if self.errors else ""
        return (
            f"{self.name}: {self.paid:,} calls to {self.model} ({tokens}), {self.reused:,} taken from earlier runs, "
            f"{self.failed:,} failed{retried}{self._of_episodes()}; {_duration(seconds)}"
        )

    def _of_episodes(self) -> str:
        parts = [f"{self.episodes:,} episodes"] if self.episodes else []
        parts += [f"{self.code_runs:,} runs of code"] if self.code_runs else []
        if self.code_not_run:
            last = printable_line(self.last_error, _ERROR_CHARS)
            parts.append(f"{self.code_not_run:,} pieces of code that no sandbox ran, last {last}")
        parts += [f"ended before their time: {_counts(self.ended_early)}"] if self.ended_early else []
        parts += [f"{self.retired:,} paid for earlier serve no more (kept)"] if self.retired else []
        return "".join(f"; {part}" for part in parts)


class Display(Protocol):
    """Shows a tally while it changes."""

    def show(self, tally: Tally) -> None:
        """Show the tally as it is now; called about twice a second."""
        ...

    def close(self) -> None:
        """Take the display away; called once, before the closing line."""
        ...


class LogDisplay:
    """A log line every half minute."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def show(self, tally: Tally) -> None:
        """Log when it is time."""
        if time.monotonic() - self._last >= _LOG_EVERY_S:
            self._last = time.monotonic()
            logger.info(tally.line())

    def close(self) -> None:
        """Nothing is open."""


class TerminalDisplay:
    """One live line below the log for each table, on the console that logs go to."""

    # A console has one live area, whatever the number of tables that are asked for at the same time.
    _live: ClassVar[Progress | None] = None
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        with self._lock:
            if TerminalDisplay._live is None:
                columns = (
                    BarColumn(20),
                    MofNCompleteColumn(),
                    TimeElapsedColumn(),
                    TextColumn("{task.description}", markup=False),
                )
                TerminalDisplay._live = Progress(*columns, console=get_console(), transient=True)
                TerminalDisplay._live.start()
            self._progress = TerminalDisplay._live
            self._task = self._progress.add_task("", visible=False)

    def show(self, tally: Tally) -> None:
        """Redraw."""
        total = max(tally.expected, tally.done)
        self._progress.update(self._task, completed=tally.done, total=total, description=tally.line(), visible=True)

    def close(self) -> None:
        """Take the line away; the closing line stands in the log."""
        with self._lock:
            self._progress.remove_task(self._task)
            if not self._progress.tasks:
                self._progress.stop()
                TerminalDisplay._live = None


def display() -> Display:
    """The display that fits where this process writes."""
    return TerminalDisplay() if sys.stdout.isatty() else LogDisplay()


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counter.most_common())


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"
