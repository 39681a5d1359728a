"""Processes of jobs, which their environment tells from all others of this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path


def of_jobs(conf: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Processes of all jobs of the cluster whose SLURM_CONF this is, with their environment."""
    for path in Path("/proc").glob("[0-9]*"):
        variables = environment(int(path.name))
        # The node's name is in no shell from which somebody has submitted a job.
        if variables.get("SLURM_CONF") == conf and "SLURM_JOB_ID" in variables and "SLURMD_NODENAME" in variables:
            yield int(path.name), variables


def environment(pid: int) -> dict[str, str]:
    """What the process was started with; empty when it has gone."""
    try:
        block = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (entry.decode(errors="replace").partition("=") for entry in block.split(b"\0") if entry)
    return {name: value for name, _, value in pairs}


def resident_mb(pid: int) -> float:
    """Memory of its own and its part of what it shares; 0 when it has gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
