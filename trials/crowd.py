"""Many trials, on as many processes as there are cores."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from omr_kedro.shards import code_digest
from trials import evidence
from trials.child import Child
from trials.disk import Disk
from trials.kedro_scene import JobTasks, KedroRun
from trials.planted import FAULTS
from trials.point import HOW, Calm, Outcome, Point
from trials.room import can_mount
from trials.scenes import Calls, Parts, Scene, Spread, Tables
from trials.server import Bills

SCENES: dict[str, tuple[type[Any], float]] = {
    "tables": (Tables, 0.28),
    "workers": (Spread, 0.02),
    "calls": (Calls, 0.4),
    "parts": (Parts, 0.12),
    "kedro run": (KedroRun, 0.14),
    "job tasks": (JobTasks, 0.04),
}
"""What is tried, and in which share of the trials."""

_NOT_FOR = {
    "tables": {"SIGUSR1"},
    # What its workers do to the disk is not watched.
    "workers": {"SIGUSR1", "power", "torn"},
    "calls": {"SIGUSR1"},
    # A power cut takes all processes at once, and what is simulated here is one process's view of the disk.
    "parts": {"SIGUSR1", "power"},
    # Its log is a file too.
    "kedro run": {"SIGUSR1", "files that may not grow"},
    # Slurm sends no SIGINT.
    "job tasks": {"SIGINT", "power", "files that may not grow", "two at once"},
}


def try_all(
    seed: int, numbers: Iterable[int], only: Sequence[str], workers: int, bills: Bills, root: Path, fault: str = ""
) -> Generator[Outcome]:
    """The outcomes as they come.

    Args:
        seed: decides everything, together with a trial's number.
        numbers: which trials.
        only: words that a trial's scene or disturbance must be among; none for all.
        workers: processes that try.
        bills: the provider.
        root: where trials have their folders.
        fault: one of those that may be planted.
    """
    given = (seed, only, bills, root, fault)
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _Worker.start, given)
    try:
        for future in as_completed([pool.submit(_Worker.try_one, number) for number in numbers]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


class _Worker:
    """What one process of the pool keeps."""

    current: _Worker

    def __init__(self, seed: int, only: Sequence[str], bills: Bills, root: Path, fault: str) -> None:
        self._seed, self._bills, self._root = seed, bills, root
        self._scenes: dict[str, Scene] = {name: kind() for name, (kind, _) in SCENES.items()}
        self._names = [name for name in SCENES if name in only] or list(SCENES)
        self._hows = [how for how in HOW if how in only] or [how for how in HOW if how != "no room" or can_mount()]
        self._calm = cache(self._run_calmly)
        self._fault = FAULTS.get(fault)
        code_digest()  # once, and not in each child

    @classmethod
    def start(cls, *args: Any) -> None:
        cls.current = cls(*args)

    @classmethod
    def try_one(cls, number: int) -> Outcome:
        return cls.current._try(number)

    def _try(self, number: int) -> Outcome:
        rng = random.Random(f"{self._seed}/{number}/what")
        name = rng.choices(self._names, [SCENES[name][1] for name in self._names])[0]
        how = rng.choice([how for how in self._hows if how not in _NOT_FOR.get(name, ())] or ["SIGKILL"])
        calm = partial(self._calm, name)
        for version in range(1, self._scenes[name].versions + 1):
            calm(version)
        if self._fault:
            self._fault.plant()
        return Point(self._seed, number, self._scenes[name], how, calm, self._bills, self._root).run()

    def _run_calmly(self, name: str, version: int) -> Calm:
        scene = self._scenes[name]
        account = f"calm-{os.getpid()}-{name}-{version}".replace(" ", "-")
        folder = self._root / account
        folder.mkdir(parents=True)
        scene.prepare(folder)

        def work(tell: Any) -> None:
            disk = Disk(folder)
            disk.watch()
            scene.finish(folder, self._bills.endpoint(account, "calm"), version)
            tell(disk.operations)

        began = time.monotonic()
        ending = Child(work, self._root / f"{account}.log").wait()
        seconds = time.monotonic() - began
        assert ending and ending.status == 0, (ending, (self._root / f"{account}.log").read_text()[-3000:])
        paid = self._bills.paid(account)
        assert set(paid.values()) <= {1}, "calls of a scene must differ, or they could not be told apart"
        faults = list(evidence.faults_of_tables(folder))
        assert not faults, faults
        return Calm(evidence.finished_tables(folder), paid.total(), ending.notes[-1], seconds)
