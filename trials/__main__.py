"""Crash points, a soak and hostile threads: `make trials`, or

    python -m trials [--points 1300] [--seed N] [--only calls power …] [--numbers 17 240] [--soak 200000] [--planted]
                     [--hostile 12000]

Runs the real code in processes that are killed, starved of disk, doubled or given a wrong clock, at random places that
the seed decides; lets each come to its end; and holds its tables against those of an undisturbed run, its calls against
the provider's bill. Fails when anything was found.

`--planted` asks what that is worth: it takes precautions out of the code, one at a time, and each must be missed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from trials import hostile, report, soak
from trials.crowd import SCENES, try_all
from trials.planted import FAULTS
from trials.point import HOW, Outcome
from trials.server import running

_MOST_TRIALS = 300
_HOSTILE = "hostile threads, each a line of the input; its replies and answers are some eight more rows; 0: none"


def main() -> None:
    """Try, tell, and fail if there is anything to tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1300, help="trials; not each of them is struck")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", nargs="+", default=[], choices=[*SCENES, *HOW], metavar="WORD", help="; ".join(HOW))
    parser.add_argument("--numbers", type=int, nargs="+", help="try these again, of a run with the same seed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--soak", type=int, default=200_000, help="calls; 0 for none")
    parser.add_argument("--hostile", type=int, default=12_000, help=_HOSTILE)
    parser.add_argument("--planted", action="store_true", help="plant known faults, which must be found")
    parser.add_argument("--results", type=Path, help="file to write")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    outcomes = crash(options) if options.points else []
    missed = plant(options) if options.planted else {}
    soaked = soak.run(options.soak, options.seed) if options.soak else None
    endured = hostile.run(options.hostile, options.seed) if options.hostile else None
    text = report.text(outcomes, missed, soaked, endured, options.seed, time.monotonic() - began)
    print(text)
    if options.results:
        options.results.write_text(text, "utf-8")
    found = any(outcome.findings for outcome in outcomes) or any(each and each.findings for each in (soaked, endured))
    sys.exit(found or None in missed.values())


def crash(options: argparse.Namespace) -> list[Outcome]:
    """All trials; shows how far they are."""
    root = _folder()
    numbers = options.numbers or range(options.points)
    outcomes: list[Outcome] = []
    with running() as bills:
        for outcome in try_all(options.seed, numbers, options.only, options.workers, bills, root):
            outcomes.append(outcome)
            for finding in outcome.findings:
                print(f"  trial {outcome.number} ({outcome.scene}, {outcome.how}): {finding}", flush=True)
            if len(outcomes) % 100 == 0:
                print(f"  {len(outcomes)} of {len(numbers)} trials", flush=True)
    if any(outcome.findings for outcome in outcomes):
        print(f"What was found lies in {root}; again: --seed {options.seed} --numbers …")
    else:
        shutil.rmtree(root, ignore_errors=True)
    return outcomes


def plant(options: argparse.Namespace) -> dict[str, int | None]:
    """After how many trials each planted fault was found; None when it was not."""
    missed: dict[str, int | None] = {}
    for name, fault in FAULTS.items():
        root = _folder()
        with running() as bills:
            trials = try_all(options.seed, range(_MOST_TRIALS), fault.where, options.workers, bills, root, name)
            with closing(trials) as outcomes:
                missed[name] = next((number for number, found in enumerate(outcomes, 1) if found.findings), None)
        shutil.rmtree(root, ignore_errors=True)
        print(f"  planted: {name}: {missed[name] or 'not found'}", flush=True)
    return missed


def _folder() -> Path:
    # Children that are killed leave semaphores of libraries behind; the tracker cleans them up, and need not say so.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")
    # In memory: what is tried is the order of things, and a power cut is simulated.
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    return Path(tempfile.mkdtemp(prefix="trials-", dir=place))


if __name__ == "__main__":
    main()
