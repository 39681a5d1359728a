"""Processes that a model server has started and left behind, found by a mark in their environment.

A process group would not do: servers of several processes open sessions of their own for some of them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_VARIABLE = "OMR_MODEL_SERVER"


def marking(mark: str) -> dict[str, str]:
    """The variable that all processes of one start of a server inherit."""
    return {_VARIABLE: mark}


def end_marked(mark: str) -> None:
    """Kill all processes of this start; where the kernel shows no environments, as on macOS, none is found."""
    for pid in _marked(mark):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _marked(mark: str) -> Iterator[int]:
    entry = f"{_VARIABLE}={mark}".encode()
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, or is somebody else's
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)
