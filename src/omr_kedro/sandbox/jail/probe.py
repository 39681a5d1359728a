"""Tries each level of isolation in a process of its own; prints a level a line, with its refusal if there is one."""

from __future__ import annotations

from . import confinement
from .settings import LEVELS


def main(_: list[str]) -> None:
    """Print the levels, the strongest first, each with a tab and the kernel's words, or nothing after it."""
    for level in LEVELS:
        words = " ".join(confinement.refusal(level).split())
        print(f"{level}\t{words}")  # noqa: T201 (what it is for)
