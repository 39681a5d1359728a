"""Processes: those below this one, and how they were called."""

from __future__ import annotations

import os
from pathlib import Path


def descendants(root: int | None = None) -> dict[int, int]:
    """Living processes below this one, and their parents. It reaps its orphans, so that a daemon is among them.

    Args:
        root: another process, with those below it, which has no such orphans.
    """
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    found = {root or os.getpid(): 0}
    while more := {pid: parent for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return found


def command_line(pid: int) -> str:
    """Its words; empty when it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
