"""Killed at any moment and run again, a run ends with the same tables and pays for no finished call twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.offline import OfflineModel
from tests.support.project import Project
from tests.support.threads import make_threads

KILL_POINTS = 50
LONGEST_S = 1.6
"""A little more than a run takes, so that kills fall on every part of it."""


@pytest.mark.slow
def test_a_run_killed_at_fifty_random_moments_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    rng = random.Random(20)
    calm, killed = (Project.create(tmp_path / name) for name in ("calm", "killed"))
    threads = calm.write_threads(make_threads(30))
    with OfflineModel(calm) as model:
        calm.run(endpoint=model.base_url, model="offline-rules", raw_threads=threads)
    expected = calm.final_tables()

    kills = finished_runs = 0
    with OfflineModel(killed, latency_s=0.005) as model:
        while kills < KILL_POINTS or not finished_runs:
            paid = killed.journalled_keys()
            before = len(model.keys)
            run = killed.start(endpoint=model.base_url, model="offline-rules", raw_threads=threads)
            run.join(rng.uniform(0, LONGEST_S) if kills < KILL_POINTS else None)
            if run.is_alive():
                run.kill()
                run.join()
                kills += 1
            else:
                assert run.exitcode == 0, (killed.path / "run.log").read_text()[-3000:]
                assert killed.final_tables() == expected
                finished_runs += 1
            again = paid & set(model.keys[before:])
            assert not again, f"{len(again)} finished calls were paid twice after kill {kills}"
            if not run.exitcode:
                killed.forget_everything()
