"""Cells of seven kinds in bulk through one pool of the sandbox: none lost, none late, and the driver no larger.

    python -m benchmarks.sandbox_soak [--cells 100000] [--limit 0.5]

Quick cells, errors, time-outs, cells that are deaf to the interrupt, memory bombs, crashes and endless prints come in
an order that a seed decides, eight to a session, 32 sessions at a time. Each must be answered within its limit and one
second, counted by the caller from the core on; none may be lost, and the driver may not grow. The zygote is replaced
every 5,000 sessions.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.environments import python_with
from benchmarks.results import emit, figure
from benchmarks.sandbox import MATHEMATICS, resident_mb
from omr_kedro.sandbox import Limits, Plan, Pool, Status

MOST_LATE_S, MOST_GROWTH_MB = 1.0, 8.0
_SEED = 7
_CELLS_OF_A_SESSION = 8
_SESSIONS_AT_A_TIME = 32
_LOOKS = 100
"""At the driver's memory, in the course of a soak."""


@dataclass(frozen=True)
class Kind:
    """Cells of one kind."""

    per_mille: int
    """Share of all cells."""
    code: str
    ends: frozenset[Status]
    """Those that are right."""


KINDS = {
    "quick": Kind(880, "sum(i * i for i in range(120))", frozenset({Status.COMPLETED})),
    "error": Kind(80, "def f(x): return 1 / x\nf(0)", frozenset({Status.ERROR})),
    "memory bomb": Kind(
        15,
        "def f():\n  x = []\n  while True: x.append(bytearray(10**6))\nf()",
        frozenset({Status.ERROR, Status.TIMEOUT, Status.KILLED, Status.CRASHED}),
    ),
    "crash": Kind(10, "import ctypes\nctypes.string_at(0)", frozenset({Status.CRASHED})),
    "time-out": Kind(8, "while True: pass", frozenset({Status.TIMEOUT})),
    "endless print": Kind(5, "while True: print('x' * 1000)", frozenset({Status.TIMEOUT})),
    "deaf": Kind(
        2, "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [2])\nwhile True: pass", frozenset({Status.KILLED})
    ),
}


def deal(count: int) -> list[str]:
    """The kinds of so many cells, at least one of each, in an order that is always the same."""
    rare = [name for name, kind in KINDS.items() for _ in range(max(1, count * kind.per_mille // 1000))]
    names = [*rare, *["quick"] * (count - len(rare))][-count:]
    random.Random(_SEED).shuffle(names)
    return names


@dataclass
class Soaked:
    """What a soak showed."""

    kinds: Counter[str]
    limit_s: float
    ends: Counter[tuple[str, Status]] = field(default_factory=Counter)
    """Answers by kind and end."""
    slowest_s: float = 0.0
    """Longest time of a cell, from the core to its caller."""
    seconds: float = 0.0
    memory_mb: list[float] = field(default_factory=list)
    """Of the driver, a hundred times."""
    metrics: dict[str, int | float] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Cells without an answer."""
        return self.kinds.total() - self.ends.total()

    @property
    def wrong(self) -> dict[tuple[str, Status], int]:
        """Ends that the kind of the cell does not allow."""
        return {(name, end): count for (name, end), count in self.ends.items() if end not in KINDS[name].ends}

    @property
    def late_s(self) -> float:
        """How much longer than its limit the slowest cell took."""
        return self.slowest_s - self.limit_s

    @property
    def early_mb(self) -> float:
        """Memory of the driver after a tenth of the cells."""
        return self.memory_mb[len(self.memory_mb) // 10]

    @property
    def growth_mb(self) -> float:
        """Memory of the driver at the end, less that after a tenth."""
        return self.memory_mb[-1] - self.early_mb

    def lines(self) -> Iterator[str]:
        """The whole of it for people."""
        yield f"{self.kinds.total():,} cells in {self.seconds:.0f} s, {self.lost} without an answer"
        for name, count in self.kinds.most_common():
            ends = {end: found for (kind, end), found in self.ends.items() if kind == name}
            yield f"  {name:14s} {count:7,}  {', '.join(f'{found:,} {end}' for end, found in sorted(ends.items()))}"
        yield f"slowest: {self.slowest_s:.2f} s at a limit of {self.limit_s:g} s"
        yield f"driver: {self.early_mb:.1f} MB after a tenth, {self.memory_mb[-1]:.1f} MB at the end"
        yield ", ".join(f"{name} {value:,}" for name, value in self.metrics.items())


async def soak(count: int, plan: Plan, limits: Limits, python: str = sys.executable) -> Soaked:
    """Send so many cells through one pool."""
    names = deal(count)
    found = Soaked(Counter(names), limits.seconds)
    async with Pool(plan, limits, python=python) as pool:
        begun = time.perf_counter()
        starts = iter(range(0, count, _CELLS_OF_A_SESSION))

        async def lane() -> None:
            for start in starts:
                async with pool.session(f"{start}") as session:
                    for name in names[start : start + _CELLS_OF_A_SESSION]:
                        asked = time.perf_counter()
                        result = await session.run(KINDS[name].code)
                        taken = time.perf_counter() - asked - result.waited_seconds
                        found.slowest_s = max(found.slowest_s, taken)
                        found.ends[name, result.status] += 1
                        if found.ends.total() % max(1, count // _LOOKS) == 0:
                            found.memory_mb.append(resident_mb())

        await asyncio.gather(*(lane() for _ in range(_SESSIONS_AT_A_TIME)))
        found.seconds = time.perf_counter() - begun
    found.memory_mb.append(resident_mb())
    found.metrics = pool.metrics.row()
    return found


def figures(found: Soaked) -> list[dict[str, object]]:
    """Promises and what was seen of them."""
    count, late, growth = found.kinds.total(), found.late_s, found.growth_mb
    return [
        figure(f"cells of {count:,} mixed ones without an answer", found.lost, "", "none", met=not found.lost),
        figure("slowest answer after its limit", late, "s", f"at most {MOST_LATE_S:g}", met=late <= MOST_LATE_S),
        figure("growth of the driver", growth, "MB", f"at most {MOST_GROWTH_MB:g}", met=growth <= MOST_GROWTH_MB),
        figure(
            "cells that ended otherwise than their kind", sum(found.wrong.values()), "", "none", met=not found.wrong
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--limit", type=float, default=0.5, help="seconds of a cell")
    options = parser.parse_args()
    limits = Limits(seconds=options.limit, memory_mb=128)
    found = asyncio.run(
        soak(options.cells, Plan(nice=0, recycle_after=5_000), limits, python_with("sandbox", MATHEMATICS))
    )
    print("\n".join(found.lines()))
    seen = figures(found)
    emit(seen)
    return 0 if all(one["met"] for one in seen) else 1


if __name__ == "__main__":
    sys.exit(main())
