"""Sandboxes of two tasks on one node, of which one is cancelled."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from omr_kedro.runners.submission import Submission
from tests.sandbox.support import skip_without_isolation
from tests.support.code_job import submission
from tests.support.ordinary_user import PROJECT
from tests.support.slurm import Cluster
from tests.support.waiting import alive, wait_until

GONE_S = 2.0
"""In which the sessions of a cancelled task are gone. Slurm itself kills what is left of it after five."""
MOST_S = 2 * GONE_S if os.environ.get("CI") else GONE_S


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Submission]:
    """A job array of two tasks, which come to their end whatever becomes of the test."""
    made = submission(tmp_path, tasks=2)
    yield made
    let_them_end(made)


def let_them_end(made: Submission) -> None:
    (made.folder / "enough").touch()


def script(made: Submission) -> Path:
    words = ["srun", "--ntasks=1", sys.executable, "-m", "tests.support.code_job", str(made.spec_path)]
    path = made.folder / "job.sbatch"
    path.write_text(
        "#!/bin/bash\n"
        "#SBATCH --array=0-1\n"
        "#SBATCH --cpus-per-task=1\n"
        f"#SBATCH --output={made.folder}/task-%a.out\n\n"
        f"cd {shlex.quote(str(PROJECT))}\n"
        f"export PYTHONPATH={shlex.quote(f'{PROJECT}/src')}\n"
        f'{shlex.join(words)} "$SLURM_ARRAY_TASK_ID"\n'
    )
    return path


def sandbox_of(made: Submission, task: int) -> list[int]:
    """Processes of a task's sandbox; none before all sessions are there."""
    path = made.folder / f"task-{task}.sandbox.json"
    text = path.read_text() if path.exists() else ""
    return list(json.loads(text)) if text else []


def counted(made: Submission, task: int) -> list[str]:
    path = made.folder / f"task-{task}.counted"
    return path.read_text().splitlines() if path.exists() else []


def test_a_cancelled_task_takes_its_sessions_with_it_and_those_of_another_on_the_same_node_go_on(
    cluster: Cluster, made: Submission
) -> None:
    skip_without_isolation()
    array = cluster.submit(script(made))
    cluster.wait_until(lambda: all(sandbox_of(made, task) and counted(made, task) for task in (0, 1)), 60)
    assert len({job.node for job in cluster.jobs() if job.array_id == array}) == 1
    gone, other = sandbox_of(made, 0), sandbox_of(made, 1)
    assert len(gone) == len(other) >= 4, "a zygote and three sessions"
    assert not set(gone) & set(other)

    cluster.cancel(f"{array}_0")
    wait_until(lambda: not any(alive(pid) for pid in gone), MOST_S)

    before = len(counted(made, 1))
    wait_until(lambda: len(counted(made, 1)) >= before + 20)
    assert all(alive(pid) for pid in other)
    let_them_end(made)
    wait_until(lambda: made.result(1))
    result, progress = made.result(1), made.progress(1)
    assert result
    assert progress
    assert result.state == "done", made.tails(1)
    cells = len(counted(made, 1))
    assert counted(made, 1) == [f"{number} on" for number in range(1, cells + 1)], "every cell found its variables"
    assert progress.code_run.cells == cells + 4, "those that open the sessions, and the one that heeds nothing"
    assert not made.result(0), "a task that Slurm ends is over for Slurm to say"
