"""Slurm's commands that do nothing but note that they were called: for runs that must submit no job."""

from __future__ import annotations

import os
from pathlib import Path

_SCRIPT = """#!/bin/sh
echo "$0 $*" >> "{log}"
echo "this Slurm takes no jobs" >&2
exit 1
"""


class NoSlurm:
    """A folder for PATH whose `sbatch` refuses everything.

    Attributes:
        environment: for a process that shall find it.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log"
        commands = folder / "bin"
        commands.mkdir(parents=True)
        for name in ("sbatch", "squeue", "scancel", "scontrol"):
            (commands / name).write_text(_SCRIPT.format(log=self._log))
            (commands / name).chmod(0o755)
        self.environment = {"PATH": os.pathsep.join((str(commands), os.environ["PATH"]))}

    @property
    def calls(self) -> list[str]:
        """Names of the commands that were called, in their order."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [Path(line.split()[0]).name for line in lines]
