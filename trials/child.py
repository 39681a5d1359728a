"""A forked process that does one thing, may be killed at it, and says how it ended."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE_S = 90.0
"""After this a child hangs, and that is a finding of its own."""


@dataclass(frozen=True)
class Ending:
    """How a child ended."""

    status: int
    """Exit status, negative for a signal."""
    notes: tuple[Any, ...]
    """What it told, the last of them perhaps its error."""

    @property
    def error(self) -> dict[str, Any] | None:
        """Kind, text and whether it explains itself, of the error that it ended with."""
        last = self.notes[-1] if self.notes else None
        return last if isinstance(last, dict) and "kind" in last else None

    @property
    def told(self) -> list[str]:
        """At what kinds of operation the disk failed."""
        return [note for note in self.notes if isinstance(note, str)]

    @property
    def counted(self) -> list[str]:
        """Keys of the calls that it counted as finished."""
        return [note["counted"] for note in self.notes if isinstance(note, dict) and "counted" in note]


class Child:
    """Runs `work` in a fork of this process, which must have one thread only."""

    def __init__(self, work: Callable[[Callable[[Any], None]], None], log: Path) -> None:
        reading, writing = os.pipe()
        self._reading = reading
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            _be_the_child(work, writing, log)
        os.close(writing)
        self.ending: Ending | None = None

    def wait(self, seconds: float | None = None) -> Ending | None:
        """The ending; None when it still runs after so many seconds.

        Raises:
            TimeoutError: no limit was given, and it hangs.
        """
        deadline = time.monotonic() + (PATIENCE_S if seconds is None else seconds)
        while self.ending is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._read(os.waitstatus_to_exitcode(status))
            elif time.monotonic() > deadline:
                if seconds is None:
                    os.kill(self.pid, signal.SIGUSR2)  # tells its log what every thread is at
                    time.sleep(0.2)
                    self.kill(signal.SIGKILL)
                    raise TimeoutError(f"hung for {PATIENCE_S:g} s")
                return None
            else:
                time.sleep(0.001)
        return self.ending

    def kill(self, number: int) -> bool:
        """Send a signal, unless it has ended."""
        if self.wait(0):
            return False
        os.kill(self.pid, number)
        return True

    def _read(self, status: int) -> None:
        with open(self._reading, "rb") as notes:
            self.ending = Ending(status, tuple(json.loads(line) for line in notes))


def _be_the_child(work: Callable[[Callable[[Any], None]], None], writing: int, log: Path) -> None:
    write = os.write  # before the disk is watched

    def tell(note: Any) -> None:
        write(writing, json.dumps(note).encode() + b"\n")

    status = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        faulthandler.register(signal.SIGUSR2, file=2)
        work(tell)
        status = 0
    except BaseException as error:
        from omr_kedro.hooks.terminal import explained  # noqa: PLC0415 (Kedro is slow to import, and not every scene needs it)

        traceback.print_exc()
        told = explained(error)
        tell({"kind": type(told or error).__name__, "text": str(told or error), "explained": told is not None})
    finally:
        os._exit(status)
