"""Peak memory of a whole run against the number of threads: it should not grow.

    python benchmarks/memory.py [--threads 5000 20000] [--shards 512] [--top-k 1]

Each run is a fresh `kedro run` in a process of its own, in a project copy of its own, against a fast mock server, with
the default number of shards. A shard is what memory holds, so fewer shards show more growth.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stage_server import running

ROOT = Path(__file__).resolve().parents[1]
WORDS = [
    "let",
    "prove",
    "that",
    "the",
    "sum",
    "of",
    "all",
    "real",
    "numbers",
    "triangle",
    "angle",
    "find",
    "every",
    "integer",
]
ALLOWED_GROWTH = 1.10


def prose(rng: random.Random, mean_chars: int) -> str:
    """Words and formulas; lengths are lognormal as those of real posts are."""
    length = min(20_000, int(rng.lognormvariate(0, 0.8) * mean_chars) + 20)
    parts = []
    while length > 0:
        part = f"${rng.choice('xyzn')}^{rng.randint(2, 999)}$" if rng.random() < 0.15 else rng.choice(WORDS)
        parts.append(part)
        length -= len(part) + 1
    return " ".join(parts)


def write_threads(path: Path, count: int) -> None:
    """Synthetic threads of a realistic shape: a post, and seven replies on average."""
    rng = random.Random(7)
    with path.open("w") as file:
        for _ in range(count):
            replies = int(rng.expovariate(1 / 7))
            discussion = "\n\n".join(f"Post {k}:\n{prose(rng, 350)}" for k in range(1, replies + 1))
            file.write(json.dumps({"forum_post": prose(rng, 400), "forum_discussions": discussion}) + "\n")


def copy_project(folder: Path) -> None:
    """What a run needs of a clone."""
    shutil.copytree(ROOT / "conf", folder / "conf")
    shutil.copytree(ROOT / "data" / "01_raw", folder / "data" / "01_raw")
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copy(ROOT / ".telemetry", folder)
    (folder / "src").mkdir()


def measure(threads: int, shards: int, top_k: int) -> tuple[float, float]:
    """Peak RSS in MB of one run, and its wall time in seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_project(folder)
        write_threads(folder / "threads.jsonl", threads)
        with running("--prompts", str(folder / "conf/base/prompts")) as endpoint:
            params = {
                "endpoint": endpoint,
                "model": "bench",
                "raw_threads": folder / "threads.jsonl",
                "prepare_threads.shards": shards,
                "benchmarks": "data/01_raw/example_benchmarks.jsonl",
                "retrieval.top_k": top_k,
            }
            words = ["run", "--params", ",".join(f"{key}={value}" for key, value in params.items())]
            return run_and_weigh([str(Path(sys.executable).with_name("kedro")), *words], folder)


def run_and_weigh(command: list[str], folder: Path) -> tuple[float, float]:
    """Peak RSS in MB and wall time in seconds of a command that must succeed."""
    started = time.monotonic()
    with (folder / "run.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit((folder / "run.log").read_text()[-4000:])
    return usage.ru_maxrss / 1024, time.monotonic() - started


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
    sys.exit(growth > ALLOWED_GROWTH)


if __name__ == "__main__":
    main()
