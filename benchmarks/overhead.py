"""What the framework itself costs: a whole run in which every table is up to date, so that no model is asked.

    python -m benchmarks.overhead [--threads 2000] [--shards 100] [--repeat 5] [--profile]

The project is a copy of its own, first run once against a fast mock server. What is measured is the `kedro run` that a
person types again: a new process, with all its imports. Beside it, as the floor, `kedro registry list`: it imports and
registers as much, and runs nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.project import KEDRO, copy_project, kedro_run, run_and_weigh, write_threads
from benchmarks.results import emit, figure, spread
from benchmarks.stage_server import running, stats

MOST_S = 5.0


def main() -> None:
    """Measure, print, and fail when it takes too long or asks anything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2_000)
    parser.add_argument("--shards", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="also say where a run's time goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_project(folder)
        write_threads(folder / "threads.jsonl", options.threads)
        with running("--prompts", str(folder / "conf/base/prompts")) as endpoint:
            words = kedro_run(folder, endpoint, options.shards)
            _, first = run_and_weigh(words, folder)
            asked = stats(endpoint).answered
            print(f"the first run: {asked:,} calls, {first:.1f} s", flush=True)
            times: dict[str, list[float]] = {"run": [], "floor": []}
            for _ in range(options.repeat):
                times["run"].append(run_and_weigh(words, folder)[1])
                times["floor"].append(run_and_weigh([KEDRO, "registry", "list"], folder)[1])
            again = stats(endpoint).answered - asked
            if options.profile:
                profile(words, folder)
    run, floor = spread(times["run"]), spread(times["floor"])
    print(f"up to date, {options.shards} shards: {run['median']:.2f} s ({run['min']:.2f}..{run['max']:.2f})")
    print(f"kedro registry list: {floor['median']:.2f} s ({floor['min']:.2f}..{floor['max']:.2f})")
    print(f"calls made: {again}")
    met = run["median"] < MOST_S and not again
    emit([
        figure(f"run with everything up to date, {options.shards} shards", run, "s", f"< {MOST_S:g}", met=met),
        figure("of which Kedro and imports (`kedro registry list`)", floor, "s"),
    ])  # fmt: skip
    sys.exit(not met)


def profile(words: list[str], folder: Path) -> None:
    """Print the functions that an up-to-date run spends its time in."""
    command = [sys.executable, "-m", "cProfile", "-s", "cumulative", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    start = done.stdout.find("function calls")
    print("\n".join(done.stdout[start:].splitlines()[:70]))


if __name__ == "__main__":
    main()
