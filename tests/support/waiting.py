"""Waiting for what other threads and processes do. How long it takes proves nothing; that it never comes does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 60
"""Seconds after which something will not come; a busy machine needs some of them."""


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE_S, *, every_s: float = 0.01) -> None:
    """Look again and again, until the condition holds.

    Raises:
        TimeoutError: it never did.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited for {seconds} s in vain")
        time.sleep(every_s)


def alive(pid: int) -> bool:
    """Whether a process is there, and more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
