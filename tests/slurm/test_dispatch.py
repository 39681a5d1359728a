"""The offline pipeline on a real Slurm, left alone and maltreated: the same tables, and nothing paid for twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from omr_kedro.runners.submission import Progress
from tests.support.dispatch import (
    PATIENCE_S,
    assert_nothing_is_left,
    assert_nothing_was_paid_twice,
    command,
    finish,
    jobs_of,
    pid_runs,
    running,
    status,
    wait_for_calls,
)
from tests.support.project import Project
from tests.support.slow_model import answered, serve_slowly
from tests.support.slurm import Cluster, Job
from tests.support.threads import make_threads


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The tables of a run in one process."""
    project = Project.create(tmp_path_factory.mktemp("calm") / "project")
    project.run(raw_threads=project.write_threads(make_threads(40)))
    return project.final_tables()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "project")
    project.write_threads(make_threads(40))
    return project


def test_a_run_on_both_nodes_gives_the_tables_of_a_run_in_one_process(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]]
) -> None:
    serve_slowly(project, 0.05)
    output = finish(cluster, project, command("--pipelines=problem_generation"))
    assert project.final_tables() == expected
    assert {job.node for job in jobs_of(cluster, project)} == {"n1", "n2"}
    assert "Funnel" in output
    calls = answered(project)
    assert calls.total() == len(calls) > 100
    assert "all 4 shards are up to date; no job is needed" in finish(cluster, project, command())
    assert answered(project) == calls
    assert_nothing_is_left(cluster, project)


def test_independent_branches_run_side_by_side(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]]
) -> None:
    serve_slowly(project, 0.1)
    with running(cluster, project, command(group_by="namespace", **{"resources.default.cpus_per_task": 1})) as run:
        branches = {"extract_answers", "convert_proofs"}
        cluster.wait_until(lambda: branches <= running_groups(cluster, project), PATIENCE_S)
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert project.final_tables() == expected
    assert_nothing_was_paid_twice(project, interrupted_servers=0)
    assert_nothing_is_left(cluster, project)


def test_slurm_is_asked_once_in_a_while_for_all_groups_together(
    cluster: Cluster, project: Project, tmp_path: Path
) -> None:
    serve_slowly(project, 0.1)
    asked = tmp_path / "asked"
    squeue = tmp_path / "bin/squeue"
    squeue.parent.mkdir()
    squeue.write_text(f'#!/bin/sh\ndate +%s.%N >> {asked}\nexec {shutil.which("squeue")} "$@"\n')
    squeue.chmod(0o755)
    path = os.pathsep.join((str(squeue.parent), os.environ["PATH"]))
    words = command(group_by="namespace", poll_s=3, **{"resources.default.cpus_per_task": 1})
    with running(cluster, project, words, PATH=path) as run:
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    times = [float(line) for line in asked.read_text().split()]
    assert len(times) >= 3
    asked_for = (times[-1] - times[0]) / 3  # groups that ask each for itself would ask twice as often
    assert len(times) - 1 < 1.5 * asked_for


def running_groups(cluster: Cluster, project: Project) -> set[str]:
    """Names of the groups of which a task runs."""
    running = [job.name for job in jobs_of(cluster, project) if job.state == "RUNNING"]
    return {name.removeprefix("omr-").rpartition("-")[0] for name in running}


def test_a_dry_run_writes_scripts_and_submits_nothing(cluster: Cluster, project: Project) -> None:
    finish(cluster, project, command("--pipelines=prepare_threads"))
    before = len(cluster.jobs())
    output = finish(cluster, project, command("--from-nodes=extract_problems.ask_extract_problems", dry_run=True))
    assert "2 groups, 2 model servers; submitted nothing" in output
    assert "waits" in output  # the other one, for the step between them that must see all problems
    (script,) = (project.path / "data/08_reporting/offline/slurm").glob("*/job.sbatch")
    assert "#SBATCH --array=0-1" in script.read_text()
    assert len(cluster.jobs()) == before


def test_tables_in_memory_are_refused_before_anything_is_submitted(cluster: Cluster, project: Project) -> None:
    path = project.path / "conf/base/catalog.yml"
    text = path.read_text().replace("\nproofs:\n", "\n_proofs:\n")
    path.write_text(f"{text}\nopen_problems: {{type: kedro.io.MemoryDataset}}\n")
    before = len(cluster.jobs())
    with running(cluster, project, command()) as run:
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 1
    for boundary in ("output 'proofs'", "input 'proofs'", "output 'open_problems'", "input 'open_problems'"):
        assert f"{boundary} lives in memory" in output
    assert len(cluster.jobs()) == before


@pytest.mark.parametrize(
    ("fault", "victim"), [("the job", "omr_kedro.runners.job"), ("its model server", "tests.support.slow_model")]
)
def test_a_killed_process_of_a_job_costs_the_calls_in_flight_and_no_more(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]], fault: str, victim: str
) -> None:
    serve_slowly(project, 0.2)
    with running(cluster, project, command()) as run:
        wait_for_calls(cluster, project)
        job = next(job for job in jobs_of(cluster, project) if job.state == "RUNNING")
        for pid in cluster.pids(job.id, victim):
            os.kill(pid, signal.SIGKILL)
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert project.final_tables() == expected
    assert_nothing_was_paid_twice(project, interrupted_servers=1)
    assert_nothing_is_left(cluster, project)


def interrupt(
    cluster: Cluster, project: Project, words: Sequence[str], stop: Callable[[subprocess.Popen[str]], None]
) -> str:
    with running(cluster, project, words) as run:
        wait_for_calls(cluster, project)
        stop(run)
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode != 0, output
    return output


def test_a_cancelled_task_is_reported_and_the_same_command_does_the_rest(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]]
) -> None:
    serve_slowly(project, 0.2)
    cancelled: list[Job] = []

    def cancel(run: subprocess.Popen[str]) -> None:
        cancelled.append(next(job for job in jobs_of(cluster, project) if job.state == "RUNNING"))
        cluster.cancel(f"{cancelled[0].array_id}_{cancelled[0].task_id}")

    output = interrupt(cluster, project, command(), cancel)
    assert f"job {cancelled[0].array_id}_{cancelled[0].task_id} ended as CANCELLED" in output
    assert "the same command goes on from here" in output
    finish(cluster, project, command())
    assert project.final_tables() == expected
    assert_nothing_was_paid_twice(project, interrupted_servers=1)
    assert_nothing_is_left(cluster, project)


def test_a_spending_limit_stops_all_tasks_and_the_same_command_goes_on(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]]
) -> None:
    serve_slowly(project, 0.02)
    words = command("--params=raw_threads=data/01_raw/mine.jsonl,spending.total_tokens=60000")
    with running(cluster, project, words) as run:
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 1
    assert "of 60,000 tokens" in output
    assert "the same command goes on from here" in output
    assert "Traceback" not in output
    assert_nothing_is_left(cluster, project)
    before = len(answered(project))
    finish(cluster, project, command())
    assert project.final_tables() == expected
    assert len(answered(project)) > before
    assert_nothing_was_paid_twice(project, interrupted_servers=0)


def test_a_time_limit_puts_the_job_back_into_the_queue_until_the_work_is_done(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]]
) -> None:
    serve_slowly(project, 6.5)
    # Slurm looks every 30 seconds whose warning is due within the next 30: this one comes after 45 to 75 seconds.
    finish(cluster, project, command(warn_s=45, **{"resources.default.time": 2}))
    assert max(job.restarts for job in jobs_of(cluster, project)) >= 1
    assert project.final_tables() == expected
    assert_nothing_was_paid_twice(project, interrupted_servers=0)
    assert_nothing_is_left(cluster, project)


def test_a_time_limit_that_lets_nothing_be_finished_twice_is_reported(cluster: Cluster, project: Project) -> None:
    serve_slowly(project, 120)
    # Calls in flight have half of this; then they are given up.
    with running(cluster, project, command(warn_s=4, **{"resources.default.tasks": 1})) as run:
        for life in (1, 2):
            cluster.wait_until(partial(has_begun, project, life), PATIENCE_S)
            (job,) = jobs_of(cluster, project)
            cluster.run("scancel", "--signal=USR1", job.id)  # as the warning before the limit
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 1
    assert "so short that nothing could be finished within it. Raise `time` of extract_problems" in output
    assert_nothing_is_left(cluster, project)


def has_begun(project: Project, life: int) -> bool:
    """Whether the first task works in this life, and no later one."""
    return lives(project) == life


def lives(project: Project) -> int:
    """How often the first task has been started, as it says itself once it has begun to work."""
    paths = (project.path / "data/08_reporting/offline/slurm").glob("*/task-0.progress.json")
    return max((Progress.model_validate_json(path.read_bytes()).lives for path in paths), default=0)


def test_a_task_that_slurm_puts_back_into_the_queue_goes_on_from_where_it_was(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]]
) -> None:
    serve_slowly(project, 0.2)
    with running(cluster, project, command()) as run:
        wait_for_calls(cluster, project)
        job = next(job for job in jobs_of(cluster, project) if job.state == "RUNNING")
        cluster.run("scontrol", "requeue", f"{job.array_id}_{job.task_id}")
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert max(job.restarts for job in jobs_of(cluster, project)) == 1
    others = {job.array_id for job in jobs_of(cluster, project)} - {job.array_id}
    assert len(others) == 1, "one more was submitted, for the second group"
    assert project.final_tables() == expected
    assert_nothing_was_paid_twice(project, interrupted_servers=1)
    assert_nothing_is_left(cluster, project)


def test_a_task_that_slurm_holds_is_reported_and_goes_on_when_it_is_released(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]]
) -> None:
    serve_slowly(project, 0.2)
    screen = project.path / "screen.txt"
    with screen.open("w") as file, running(cluster, project, command(), file) as run:
        wait_for_calls(cluster, project)
        job = next(job for job in jobs_of(cluster, project) if job.state == "RUNNING")
        task = f"{job.array_id}_{job.task_id}"
        cluster.run("scontrol", "requeuehold", task)
        cluster.wait_until(lambda: f"scontrol release {task}" in " ".join(screen.read_text().split()), PATIENCE_S)
        cluster.run("scontrol", "release", task)
        run.wait(PATIENCE_S)
    assert run.returncode == 0, screen.read_text()
    assert project.final_tables() == expected
    assert_nothing_was_paid_twice(project, interrupted_servers=1)
    assert_nothing_is_left(cluster, project)


def test_a_dead_node_costs_its_calls_in_flight_and_no_more(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]]
) -> None:
    serve_slowly(project, 0.5)
    with running(cluster, project, command()) as run:
        wait_for_calls(cluster, project)
        cluster.kill_node("n1")
        cluster.wait_until(
            lambda: not any(job.node == "n1" and job.state == "RUNNING" for job in cluster.jobs()), PATIENCE_S
        )
        cluster.start_node("n1")
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert project.final_tables() == expected
    assert_nothing_was_paid_twice(project, interrupted_servers=1)
    assert_nothing_is_left(cluster, project)


def test_a_job_without_enough_memory_is_tried_again_and_then_reported(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]]
) -> None:
    with running(cluster, project, command(max_retries=1, **{"resources.default.mem": "120M"})) as run:
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 1, output
    assert output.count("Its shards are submitted again") == 2
    assert "out of memory. Raise `mem` of extract_problems in runner.yml" in " ".join(output.split())
    assert "the same command goes on from here" in output
    finish(cluster, project, command())
    assert project.final_tables() == expected
    assert_nothing_is_left(cluster, project)


def test_a_model_that_one_node_cannot_hold_is_served_by_two(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]]
) -> None:
    serve_slowly(project, 0.2, "tests.support.team_model")
    words = command(**{"resources.default.nodes": 2, "resources.default.tasks": 1})
    with running(cluster, project, words) as run:
        wait_for_calls(cluster, project)
        (job,) = jobs_of(cluster, project)
        servers = cluster.pids(job.id, "--node-rank")
        (second,) = [pid for pid in cluster.pids(job.id, "--headless") if pid_runs(pid, "tests.support.team_model")]
        os.kill(second, signal.SIGKILL)
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert len(servers) >= 2
    assert project.final_tables() == expected
    assert_nothing_was_paid_twice(project, interrupted_servers=1)
    assert_nothing_is_left(cluster, project)


def test_a_controller_that_dies_and_returns_changes_nothing(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]]
) -> None:
    serve_slowly(project, 0.5)
    with running(cluster, project, command()) as run:
        wait_for_calls(cluster, project)
        cluster.kill_controller()
        wait_for_calls(cluster, project, answered(project).total() + 20)
        cluster.start_controller()
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert project.final_tables() == expected
    assert_nothing_was_paid_twice(project, interrupted_servers=0)
    assert_nothing_is_left(cluster, project)


def test_a_killed_parent_finds_its_jobs_again_and_submits_none_twice(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]]
) -> None:
    serve_slowly(project, 1.0)
    interrupt(cluster, project, command(), lambda run: run.kill())
    submitted = {job.array_id for job in jobs_of(cluster, project)}
    shown = status(cluster, project)
    assert f"extract_problems {next(iter(submitted))} 2 running" in shown
    output = finish(cluster, project, command())
    assert f"found job {next(iter(submitted))} of an earlier run, 2 tasks still at work" in output
    assert len({job.array_id for job in jobs_of(cluster, project)} - submitted) == 1, "one more, for the second group"
    assert f"extract_problems {next(iter(submitted))} 2 done 4/4" in status(cluster, project)
    assert project.final_tables() == expected
    assert_nothing_was_paid_twice(project, interrupted_servers=0)
    assert_nothing_is_left(cluster, project)


def test_ctrl_c_cancels_the_jobs_and_leaves_no_process(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]]
) -> None:
    serve_slowly(project, 0.2)
    output = interrupt(cluster, project, command(), lambda run: run.send_signal(signal.SIGINT))
    assert "Cancelled. What was finished is kept" in output
    assert_nothing_is_left(cluster, project)
    finish(cluster, project, command())
    assert project.final_tables() == expected
    assert_nothing_was_paid_twice(project, interrupted_servers=2)


def test_ctrl_c_leaves_detached_jobs_at_work_and_the_same_command_finds_them(
    cluster: Cluster, project: Project, expected: dict[str, list[dict[str, Any]]]
) -> None:
    serve_slowly(project, 0.5)
    output = interrupt(cluster, project, command(detach=True), lambda run: run.send_signal(signal.SIGINT))
    assert "The same command finds them again" in output
    submitted = {job.array_id for job in jobs_of(cluster, project)}
    finish(cluster, project, command(detach=True))
    assert len({job.array_id for job in jobs_of(cluster, project)} - submitted) == 1, "one more, for the second group"
    assert project.final_tables() == expected
    assert_nothing_was_paid_twice(project, interrupted_servers=0)
    assert_nothing_is_left(cluster, project)
