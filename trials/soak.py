"""A long run: many calls through the real engine and shards, to a provider that misbehaves a little all the time."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from omr_kedro import tables
from omr_kedro.llm.calls import CallPlan, Request, Sampling
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.shards import TableStore
from omr_kedro.shards.identity import shard_names
from trials import evidence
from trials.child import Child
from trials.server import Bills, running

SHARDS = 200
SLOTS = 256
MEAN_LATENCY_S = 0.08
MOST_GROWTH = 1.05
_PROMPT = "Let $a_1, a_2, \\dots$ be a sequence of integers with $a_{n+1} = a_n^2 - 2$. " * 10
_SAMPLE_S = 0.5
_FEWEST_SAMPLES = 10
"""Of a quarter of the run."""


@dataclass
class Soaked:
    """What a soak showed."""

    calls: int
    seconds: float = 0.0
    cpu_s: float = 0.0
    paid: int = 0
    paid_twice: int = 0
    rows: int = 0
    tries: dict[str, int] = field(default_factory=dict)
    memory_mb: list[float] = field(default_factory=list)
    """Of the process that asks, twice a second."""
    findings: list[str] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Memory in the last quarter of the run, by that in the second; 1.0 for a run too short to tell."""
        quarter = len(self.memory_mb) // 4
        if quarter < _FEWEST_SAMPLES:
            return 1.0
        return statistics.median(self.memory_mb[-quarter:]) / statistics.median(self.memory_mb[quarter : 2 * quarter])

    def lines(self) -> list[str]:
        """The figures, as Markdown."""
        faults = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.tries.items()) if kind != "none")
        return [
            "| | |",
            "|---|---|",
            f"| calls, in {SHARDS} shards, {SLOTS} in flight | {self.calls:,} |",
            f"| tries that the provider spoiled | {faults} |",
            f"| rows | {self.rows:,} |",
            f"| calls paid, by the provider's count | {self.paid:,} |",
            f"| calls paid twice | {self.paid_twice:,} |",
            f"| time | {self.seconds:.0f} s, {self.calls / self.seconds:,.0f} calls/s, "
            f"{1000 * self.cpu_s / self.calls:.3f} CPU-ms a call |",
            f"| memory: most, and last quarter by second quarter "
            f"| {max(self.memory_mb, default=0):.0f} MB, {self.growth:.3f} |",
            f"| findings | {'; '.join(self.findings) or 'none'} |",
        ]


def run(calls: int, seed: int) -> Soaked:
    """Make so many calls in a child, and watch its memory."""
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        with running("--slots", str(SLOTS), "--mean-latency", str(MEAN_LATENCY_S)) as bills:
            return _soak(calls - calls % SHARDS, f"soak{seed}", bills, folder)
    finally:
        shutil.rmtree(folder)


def _soak(calls: int, account: str, bills: Bills, folder: Path) -> Soaked:
    found = Soaked(calls)
    endpoint = bills.endpoint(account, "worn")
    began = time.monotonic()
    child = Child(lambda tell: tell(_ask(folder / "table", endpoint, calls)), folder / "log")
    while not (ending := child.wait(_SAMPLE_S)):
        found.memory_mb.append(_memory_mb(child.pid))
        if sys.stdout.isatty():
            print(f"  soak: {time.monotonic() - began:.0f} s, {found.memory_mb[-1]:.0f} MB", end="\r", flush=True)
    found.seconds = time.monotonic() - began
    bill = bills.bill(account)
    found.tries, found.paid = bill["tries"], sum(bill["paid"].values())
    found.paid_twice = found.paid - len(bill["paid"])
    if ending.status:
        found.findings.append(f"it ended with {ending.error or ending.status}")
        return found
    found.cpu_s = ending.notes[-1]
    found.rows = sum(len(rows) for rows in evidence.finished_tables(folder).values())
    found.findings += evidence.faults_of_tables(folder)
    if found.rows != calls or found.paid_twice or found.paid != calls:
        found.findings.append(f"{found.rows} rows and {found.paid} paid calls of {calls}")
    if found.growth > MOST_GROWTH:
        found.findings.append(f"memory grew by {found.growth:.3f}, more than {MOST_GROWTH}")
    return found


def _ask(folder: Path, endpoint: str, calls: int) -> float:
    names = shard_names(SHARDS)
    each = calls // SHARDS

    def requests(name: str) -> Iterator[Request]:
        first = names.index(name) * each
        for number in range(first, first + each):
            yield Request(str(number), [{"role": "user", "content": f"{number}. {_PROMPT}"}], Sampling(), "soak")

    plan = CallPlan(
        name="soak",
        model=ChatModel(ModelEntry("soak", endpoint, limits=Limits(max_in_flight=SLOTS, timeout_s=60))),
        asks=requests,
        expected=dict.fromkeys(names, each),
        fingerprints=dict.fromkeys(names, "soak"),
    )
    TableStore(folder, "jsonl", tables.COMPLETIONS).save(plan)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
