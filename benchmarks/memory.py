"""Peak memory of a whole run against the number of threads: it should not grow.

    python -m benchmarks.memory [--threads 5000 20000] [--shards 512] [--top-k 1]

Each run is a fresh `kedro run` in a process of its own, in a project copy of its own, against a fast mock server, with
the default number of shards. A shard is what memory holds, so fewer shards show more growth. Memory is the peak RSS of
the largest process, the run itself; the workers that grade answers are smaller, and as many as there are cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.project import copy_project, kedro_run, run_and_weigh, write_threads
from benchmarks.results import emit, figure
from benchmarks.stage_server import running

ALLOWED_GROWTH = 1.10


def measure(threads: int, shards: int, top_k: int) -> tuple[float, float]:
    """Peak RSS in MB of one run, and its wall time in seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_project(folder)
        write_threads(folder / "threads.jsonl", threads)
        with running("--prompts", str(folder / "conf/base/prompts")) as endpoint:
            return run_and_weigh(kedro_run(folder, endpoint, shards, top_k), folder)


def main() -> None:
    """Measure, print, and fail when memory grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[5_000, 20_000])
    parser.add_argument("--shards", type=int, default=512)
    parser.add_argument("--top-k", type=int, default=1)
    options = parser.parse_args()
    peaks = []
    for threads in options.threads:
        peak, seconds = measure(threads, options.shards, options.top_k)
        peaks.append(peak)
        print(f"{threads:>9,} threads: peak RSS {peak:7.1f} MB, {seconds:6.1f} s", flush=True)
    growth = peaks[-1] / peaks[0]
    print(f"growth: {growth:.3f} (allowed {ALLOWED_GROWTH:.2f})")
    met = growth <= ALLOWED_GROWTH
    growing = f"peak memory of its largest process, {options.threads[-1]:,} threads by {options.threads[0]:,}"
    emit([
        figure(growing, growth, "", f"<= {ALLOWED_GROWTH:g}", met=met),
        figure(f"peak memory of the largest process of a run, {options.threads[-1]:,} threads", peaks[-1], "MB"),
    ])  # fmt: skip
    sys.exit(not met)


if __name__ == "__main__":
    main()
