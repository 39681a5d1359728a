"""Sandboxes in jobs: of two tasks on one node, of which one is cancelled, and beside the server of a stage."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from omr_kedro.runners.submission import Submission
from tests.sandbox.support import skip_without_isolation
from tests.support.code_job import submission
from tests.support.dispatch import PATIENCE_S, THREADS, Dispatch, Work
from tests.support.ordinary_user import PROJECT
from tests.support.processes import command_line, descendants
from tests.support.project import PROBLEMS, Project
from tests.support.slow_model import serve_slowly
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


SOLVED = Work(pipelines=("solve_tir",), groups=1, tasks=1, tables=("tir_samples", "tir_turns", "tir_votes"))
"""Samples with code, in a job whose server and sandbox are beside each other."""


def project_to_solve(folder: Path) -> Project:
    """A project whose problems wait for solutions with code."""
    project = Project.create(folder)
    shutil.copy(project.path / "data/01_raw/example_threads.jsonl", project.path / THREADS)
    with_answers = ["split_problems", "solve_cot", "judge_cot", "settle_cot"]
    project.run(pipelines=[*PROBLEMS, *with_answers], raw_threads=str(project.path / THREADS))
    path = project.path / "conf/offline/globals.yml"
    config = yaml.safe_load(path.read_text())
    config["sandbox"]["isolation"] = "auto"
    path.write_text(yaml.safe_dump(config))
    return project


@pytest.mark.slow
def test_sessions_run_beside_the_server_of_their_job_and_end_with_it(cluster: Cluster, tmp_path: Path) -> None:
    skip_without_isolation()
    dispatch = Dispatch(cluster, project_to_solve(tmp_path / "project"), SOLVED)
    serve_slowly(dispatch.project, 0.1)

    def in_the_job() -> dict[str, list[int]]:
        """Processes below the job's own one, by what they are."""
        found: dict[str, list[int]] = {"server": [], "session": [], "other": []}
        for job in dispatch.jobs():
            for task in cluster.pids(job.id, "omr_kedro.runners.job"):
                for pid in descendants(root=task):
                    words = command_line(pid)
                    kind = "session" if "from jail import" in words else "server" if "slow_model" in words else "other"
                    found[kind].append(pid)
        return {kind: sorted(set(pids)) for kind, pids in found.items()}

    with dispatch.running() as run:
        cluster.wait_until(lambda: len(in_the_job()["session"]) >= 3 and bool(in_the_job()["server"]), PATIENCE_S)
        seen = in_the_job()
        job = dispatch.running_job()
        cluster.cancel(job.id)
        wait_until(lambda: not any(alive(pid) for pids in seen.values() for pid in pids), PATIENCE_S)
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert "the same command goes on from here" in output
    print({kind: len(pids) for kind, pids in seen.items()}, "processes in the job, none of them left")
    dispatch.assert_nothing_is_left()

    dispatch.finish()
    assert all(dispatch.tables().values())
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=1)
    dispatch.assert_nothing_is_left()
