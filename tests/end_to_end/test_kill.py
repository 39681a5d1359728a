"""Killed at any moment and run again, a run ends with the same tables and pays for no finished call twice."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.support.offline import OfflineModel
from tests.support.project import PROBLEMS, Project
from tests.support.threads import make_threads

KILL_POINTS = 10
"""The trials have a thousand."""


@pytest.mark.kills
def test_a_run_killed_at_ten_random_moments_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    rng = random.Random(20)
    calm, killed = (Project.create(tmp_path / name) for name in ("calm", "killed"))
    threads = calm.write_threads(make_threads(30))
    with OfflineModel(calm, latency_s=0.005) as model:
        for _ in range(2):  # the first also starts the server that forks
            calm.forget_everything()
            began = time.monotonic()
            calm.start(pipelines=PROBLEMS, endpoint=model.base_url, model="offline-rules", raw_threads=threads).join()
            a_little_more_than_a_run_s = 1.1 * (time.monotonic() - began)
    expected = calm.final_tables()

    kills = kills_amid_calls = finished_runs = 0
    with OfflineModel(killed, latency_s=0.005) as model:
        while kills < KILL_POINTS or not finished_runs:
            paid = killed.journalled_keys()
            before = len(model.keys)
            run = killed.start(pipelines=PROBLEMS, endpoint=model.base_url, model="offline-rules", raw_threads=threads)
            run.join(rng.uniform(0, a_little_more_than_a_run_s) if kills < KILL_POINTS else None)
            if run.is_alive():
                run.kill()
                run.join()
                kills += 1
                kills_amid_calls += len(model.keys) > before
            else:
                assert run.exitcode == 0, (killed.path / "run.log").read_text()[-3000:]
                assert killed.final_tables() == expected
                finished_runs += 1
            again = paid & set(model.keys[before:])
            assert not again, f"{len(again)} finished calls were paid twice after kill {kills}"
            if not run.exitcode:
                killed.forget_everything()
    assert kills_amid_calls >= KILL_POINTS / 5
