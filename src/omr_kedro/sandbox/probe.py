"""The isolation that this machine gives to an ordinary user, found out by doing it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace

from omr_kedro.sandbox.errors import SandboxError, SandboxRefusedError
from omr_kedro.sandbox.jail.settings import LEVELS, NONE
from omr_kedro.sandbox.remedies import WAYS_OUT, WITHOUT_CODE, other_system, refusal_text
from omr_kedro.sandbox.zygote import command, environment

_SECONDS = 60.0
_ERROR_CHARACTERS = 2000


@dataclass(frozen=True)
class Report:
    """Levels that were tried, the strongest first."""

    refusals: dict[str, str]
    """By level: why it cannot be had, in the kernel's words; empty when it can."""

    @property
    def level(self) -> str | None:
        """The level that a sandbox would take here; None where it would refuse."""
        return next((level for level, words in self.refusals.items() if not words), None)

    def among(self, levels: Iterable[str]) -> Report:
        """The report of a sandbox that takes none but these levels; a machine with Linux can do without isolation."""
        return replace(self, refusals={level: self.refusals.get(level, "") for level in levels})

    @property
    def told(self) -> str:
        """The report on one line."""
        tried = self.tried
        if self.level:
            return (
                f"isolation by {self.level}{f' ({tried})' if tried else ''}" if self.level != NONE else "no isolation"
            )
        return other_system() or (
            f"refused: {tried}. docs/sandbox.md says what to ask an administrator for; {WITHOUT_CODE}"
        )

    @property
    def tried(self) -> str:
        """The levels that cannot be had, with the kernel's words."""
        return "; ".join(f"{name}: {words}" for name, words in self.refusals.items() if words)

    def lines(self) -> list[str]:
        """The report for people: the level, what each trial said, and what to do."""
        level = self.level
        lines = [f"sandbox: isolation by {level}" if level else "sandbox: refused, this machine offers too little"]
        lines += [f"  {name}: {words or 'works'}" for name, words in self.refusals.items()]
        return lines if level else [*lines, other_system() or WAYS_OUT]


def probe(python: str = sys.executable) -> Report:
    """Try every level here; takes a tenth of a second.

    Raises:
        SandboxError: nothing could be tried.
    """
    if other_system():
        return Report(dict.fromkeys((*LEVELS, NONE), "needs Linux"))
    try:
        tried = subprocess.run(  # noqa: S603 (this interpreter, no shell)
            command(python, "probe"), env=environment(), capture_output=True, timeout=_SECONDS, cwd="/", check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxError(f"isolation could not be tried: {error}") from None
    rows = [line.split("\t", 1) for line in tried.stdout.decode("utf-8", "replace").splitlines()]
    if tried.returncode or not rows or any(len(row) != 2 for row in rows):
        said = tried.stderr.decode("utf-8", "replace").strip()[-_ERROR_CHARACTERS:]
        raise SandboxError(f"isolation could not be tried (exit status {tried.returncode}):\n{said}")
    return Report(dict(rows))


def check_machine(levels: Iterable[str], python: str = sys.executable) -> None:
    """Refuse a machine that gives none of some levels, before anything is paid for whose code could not be run.

    Raises:
        SandboxRefusedError: it gives none; names the ways out.
        SandboxError: nothing could be tried.
    """
    wanted = tuple(levels)
    if NONE in wanted and not other_system():
        return
    report = probe(python).among(wanted)
    if report.level is None:
        raise SandboxRefusedError(other_system() or refusal_text(report.tried))
