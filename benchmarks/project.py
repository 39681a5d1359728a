"""A project folder with threads in it, and the `kedro run` that takes them through problem generation."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import ROOT

KEDRO = str(Path(sys.executable).with_name("kedro"))
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


def kedro_run(folder: Path, endpoint: str, shards: int, top_k: int = 1) -> list[str]:
    """The command that runs problem generation on the threads of `write_threads`."""
    params = {
        "endpoint": endpoint,
        "model": "bench",
        "raw_threads": folder / "threads.jsonl",
        "prepare_threads.shards": shards,
        "benchmarks": "data/01_raw/example_benchmarks.jsonl",
        # Needs no extra; embeddings have a benchmark of their own.
        "retrieval.kind": "lexical",
        "retrieval.top_k": top_k,
    }
    given = ",".join(f"{key}={value}" for key, value in params.items())
    # Here, also where there is a Slurm: it is this process that is measured.
    return [KEDRO, "run", "--pipelines", "problem_generation", "--runner-params", "where=here", "--params", given]


class Cost(NamedTuple):
    """Cost of a command."""

    peak_mb: float
    """Peak RSS of its process."""
    seconds: float
    cpu_seconds: float
    """Of its process and of those that it waited for."""


def run_and_weigh(command: list[str], folder: Path) -> tuple[float, float]:
    """Peak RSS in MB and wall time in seconds of a command that must succeed."""
    cost = cost_of(command, folder)
    return cost.peak_mb, cost.seconds


def cost_of(command: list[str], folder: Path) -> Cost:
    """Cost of a command that must succeed."""
    started = time.monotonic()
    with (folder / "run.log").open("wb") as log:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": path}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit((folder / "run.log").read_text()[-4000:])
    return Cost(usage.ru_maxrss / 1024, time.monotonic() - started, usage.ru_utime + usage.ru_stime)
