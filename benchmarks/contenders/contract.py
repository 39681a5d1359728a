"""The contract: `python -m benchmarks.contenders.NAME ENDPOINT CALLS IN_FLIGHT FOLDER`; it ends with one line of JSON.

The measured time and CPU begin with the first call, after all imports, and hold what reaped children used. Each
contender but the bare loop keeps every reply in the folder, in the way that its library has for that. Standard library
only.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

PROMPT_CHARS = 2000


class Job(NamedTuple):
    """What to ask."""

    endpoint: str
    """Base URL, ends in /v1."""
    calls: int
    in_flight: int
    folder: Path


def question(number: int) -> str:
    """A prompt of ordinary length, another for each call."""
    text = f"Problem {number}. Let $x_1, x_2$ be the roots of $x^2 - {number}x + 1$. "
    return (text * (PROMPT_CHARS // len(text) + 1))[:PROMPT_CHARS]


def contend(work: Callable[[Job], int]) -> None:
    """Do the work of the command line; `work` returns how many replies it got."""
    endpoint, calls, in_flight, folder = sys.argv[1:]
    job = Job(endpoint, int(calls), int(in_flight), Path(folder))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    cpu, wall = cpu_s(), time.monotonic()
    replies = work(job)
    cpu, wall = cpu_s() - cpu, time.monotonic() - wall
    print(json.dumps({"replies": replies, "cpu_ms": 1000 * cpu / job.calls, "rate": job.calls / wall}), flush=True)


def cpu_s() -> float:
    every = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in every)
