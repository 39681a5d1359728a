"""Processes below this one."""

from __future__ import annotations

import os
from pathlib import Path


def descendants() -> dict[int, int]:
    """Living processes below this one, and their parents. It reaps its orphans, so that a daemon is among them."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    found = {os.getpid(): 0}
    while more := {pid: parent for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return found
