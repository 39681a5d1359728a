"""The offline pipeline on Slurm, left alone and maltreated: the same tables, and nothing paid for twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from omr_kedro.runners.resources import Resources
from omr_kedro.runners.slurm import batch_script
from omr_kedro.runners.submission import JobSpec, Progress
from tests.support.dispatch import PATIENCE_S, THREADS, Dispatch, Tables, on_real, pid_runs, resources
from tests.support.slow_model import pause, resume, serve_slowly
from tests.support.slurm import Cluster, Job

_ALL = "--pipelines=problem_generation"
"""For tests that need more than the first stages, also on the double."""


def test_a_run_on_both_nodes_gives_the_tables_of_a_run_in_one_process(dispatch: Dispatch, expected: Tables) -> None:
    serve_slowly(dispatch.project, 0.05)
    output = dispatch.finish(_ALL, **resources(tasks=2))
    assert dispatch.tables() == expected
    assert {job.node for job in dispatch.jobs()} == {"n1", "n2"}
    assert "Funnel" in output
    calls = dispatch.answered()
    assert calls.total() == len(calls) > 100
    assert "all 4 shards are up to date; no job is needed" in dispatch.finish()
    assert dispatch.answered() == calls
    dispatch.assert_nothing_is_left()


@pytest.mark.slow
def test_independent_branches_run_side_by_side(dispatch: Dispatch, expected: Tables) -> None:
    serve_slowly(dispatch.project, 0.1)
    with dispatch.running(_ALL, group_by="namespace", **resources(cpus_per_task=1, tasks=2)) as run:
        branches = {"extract_answers", "convert_proofs"}
        dispatch.cluster.wait_until(lambda: branches <= running_groups(dispatch), PATIENCE_S)
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=0)
    dispatch.assert_nothing_is_left()


@pytest.mark.slow
def test_slurm_is_asked_once_in_a_while_for_all_groups_together(dispatch: Dispatch, tmp_path: Path) -> None:
    serve_slowly(dispatch.project, 0.1)
    path = {**os.environ, **dispatch.cluster.environment}["PATH"]
    asked = tmp_path / "asked"
    squeue = tmp_path / "bin/squeue"
    squeue.parent.mkdir()
    squeue.write_text(f'#!/bin/sh\ndate +%s.%N >> {asked}\nexec {shutil.which("squeue", path=path)} "$@"\n')
    squeue.chmod(0o755)
    path = os.pathsep.join((str(squeue.parent), path))
    small = resources(cpus_per_task=1, tasks=2)
    with dispatch.running(_ALL, path=path, group_by="namespace", poll_s=3, **small) as run:
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    times = [float(line) for line in asked.read_text().split()]
    assert len(times) >= 3
    asked_for = (times[-1] - times[0]) / 3  # groups that ask each for itself would ask twice as often
    assert len(times) - 1 < 1.5 * asked_for


def running_groups(dispatch: Dispatch) -> set[str]:
    """Names of the groups of which a task runs."""
    running = [job.name for job in dispatch.jobs() if job.state == "RUNNING"]
    return {name.removeprefix("omr-").rpartition("-")[0] for name in running}


def test_a_dry_run_writes_scripts_and_submits_nothing(dispatch: Dispatch) -> None:
    dispatch.finish("--pipelines=prepare_threads")
    before = len(dispatch.cluster.jobs())
    output = dispatch.finish(
        _ALL, "--from-nodes=extract_problems.ask_extract_problems", dry_run=True, **resources(tasks=2)
    )
    assert "2 groups, 2 model servers; submitted nothing" in output
    assert "waits" in output  # the other one, for the step between them that must see all problems
    (folder,) = dispatch.folders()
    assert "#SBATCH --array=0-1" in (folder / "job.sbatch").read_text()
    assert len(dispatch.cluster.jobs()) == before


def test_logs_are_where_they_belong_whatever_the_folder_is_called(cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "a b#c 'd' \"e\" 100%a"
    folder.mkdir()
    spec = JobSpec(
        group="stage", token="one", project_path=str(tmp_path), env=None, conf_source=None, runtime_params={},
        pipeline_names=[], run_id="now", nodes=["a"], shares=[["s0"]], settings={}, resources=Resources(),
        lanes=1, warn_s=120, server_starts=1,
    )  # fmt: skip
    script = folder / "job.sbatch"
    directives = [line for line in batch_script(spec, folder).splitlines() if line.startswith("#")]
    script.write_text("\n".join([*directives, "echo hello", ""]))
    cluster.submit(script)
    log = folder / "task-0.out"
    cluster.wait_until(lambda: log.is_file() and log.read_text() == "hello\n")


def test_tables_in_memory_are_refused_before_anything_is_submitted(dispatch: Dispatch) -> None:
    path = dispatch.project.path / "conf/base/catalog.yml"
    text = path.read_text().replace("\nproofs:\n", "\n_proofs:\n")
    path.write_text(f"{text}\nopen_problems: {{type: kedro.io.MemoryDataset}}\n")
    before = len(dispatch.cluster.jobs())
    with dispatch.running(_ALL) as run:
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 1
    for boundary in ("output 'proofs'", "input 'proofs'", "output 'open_problems'", "input 'open_problems'"):
        assert f"{boundary} lives in memory" in output
    assert len(dispatch.cluster.jobs()) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "victim"), [("the job", "omr_kedro.runners.job"), ("its model server", "tests.support.slow_model")]
)
def test_a_killed_process_of_a_job_costs_the_calls_in_flight_and_no_more(
    dispatch: Dispatch, expected: Tables, fault: str, victim: str
) -> None:
    serve_slowly(dispatch.project, 0.2)
    with dispatch.running() as run:
        dispatch.wait_for_calls()
        job = dispatch.running_job()
        for pid in dispatch.cluster.pids(job.id, victim):
            os.kill(pid, signal.SIGKILL)
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=1)
    dispatch.assert_nothing_is_left()


def interrupt(dispatch: Dispatch, stop: Callable[[subprocess.Popen[str]], None], **runner_params: Any) -> str:
    with dispatch.running(**runner_params) as run:
        dispatch.wait_for_calls()
        stop(run)
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode != 0, output
    return output


@pytest.mark.slow
def test_a_cancelled_task_is_reported_and_the_same_command_does_the_rest(dispatch: Dispatch, expected: Tables) -> None:
    serve_slowly(dispatch.project, 0.2)
    cancelled: list[Job] = []

    def cancel(run: subprocess.Popen[str]) -> None:
        cancelled.append(dispatch.running_job())
        dispatch.cluster.cancel(f"{cancelled[0].array_id}_{cancelled[0].task_id}")

    output = interrupt(dispatch, cancel)
    assert f"job {cancelled[0].array_id}_{cancelled[0].task_id} ended as CANCELLED" in output
    assert "the same command goes on from here" in output
    dispatch.finish()
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=1)
    dispatch.assert_nothing_is_left()


@pytest.mark.slow
def test_a_spending_limit_stops_all_tasks_and_the_same_command_goes_on(dispatch: Dispatch, expected: Tables) -> None:
    serve_slowly(dispatch.project, 0.02)
    limit = f"--params=raw_threads={THREADS},spending.total_tokens=20000"
    with dispatch.running(limit) as run:
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 1
    assert "of 20,000 tokens" in output
    assert "the same command goes on from here" in output
    assert "Traceback" not in output
    dispatch.assert_nothing_is_left()
    before = len(dispatch.answered())
    dispatch.finish()
    assert dispatch.tables() == expected
    assert len(dispatch.answered()) > before
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=0)


@pytest.mark.slow
@on_real
def test_a_time_limit_puts_the_job_back_into_the_queue_until_the_work_is_done(
    dispatch: Dispatch, expected: Tables
) -> None:
    serve_slowly(dispatch.project, 6.5)
    # Slurm looks every 30 seconds whose warning is due within the next 30: this one comes after 45 to 75 seconds.
    dispatch.finish(warn_s=45, **resources(time=2))
    assert max(job.restarts for job in dispatch.jobs()) >= 1
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=0)
    dispatch.assert_nothing_is_left()


@pytest.mark.slow
def test_a_time_limit_that_lets_nothing_be_finished_twice_is_reported(dispatch: Dispatch) -> None:
    serve_slowly(dispatch.project, 120)
    # Calls in flight have half of this; then they are given up.
    with dispatch.running(warn_s=4, **resources(tasks=1)) as run:
        for life in (1, 2):
            dispatch.cluster.wait_until(partial(has_begun, dispatch, life), PATIENCE_S)
            (job,) = dispatch.jobs()
            dispatch.cluster.run("scancel", "--signal=USR1", job.id)  # as the warning before the limit
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 1
    assert "so short that nothing could be finished within it. Raise `time` of extract_problems" in output
    dispatch.assert_nothing_is_left()


def has_begun(dispatch: Dispatch, life: int) -> bool:
    """Whether the first task works in this life, and no later one."""
    return lives(dispatch) == life


def lives(dispatch: Dispatch) -> int:
    """How often the first task has been started, as it says itself once it has begun to work."""
    paths = [path for folder in dispatch.folders() for path in folder.glob("task-0.progress.json")]
    return max((Progress.model_validate_json(path.read_bytes()).lives for path in paths), default=0)


@pytest.mark.slow
def test_a_task_whose_time_is_up_puts_itself_back_and_finishes_its_work(dispatch: Dispatch, expected: Tables) -> None:
    serve_slowly(dispatch.project, 0.2)
    with dispatch.running(**resources(tasks=1)) as run:
        dispatch.wait_for_calls()
        dispatch.cluster.run("scancel", "--signal=USR1", dispatch.running_job().id)  # as the warning before the limit
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert sum(job.restarts for job in dispatch.jobs()) == 1
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=0)
    dispatch.assert_nothing_is_left()


def test_a_task_that_slurm_puts_back_into_the_queue_goes_on_from_where_it_was(
    dispatch: Dispatch, expected: Tables
) -> None:
    serve_slowly(dispatch.project, 0.2)
    with dispatch.running() as run:
        dispatch.wait_for_calls()
        job = dispatch.running_job()
        dispatch.cluster.run("scontrol", "requeue", f"{job.array_id}_{job.task_id}")
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert max(job.restarts for job in dispatch.jobs()) == 1
    others = {job.array_id for job in dispatch.jobs()} - {job.array_id}
    assert len(others) == dispatch.work.groups - 1, "one more was submitted, for the second group"
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=1)
    dispatch.assert_nothing_is_left()


def test_a_task_that_slurm_holds_is_reported_and_goes_on_when_it_is_released(
    dispatch: Dispatch, expected: Tables
) -> None:
    serve_slowly(dispatch.project, 0.2)
    with dispatch.shown() as (run, screen):
        dispatch.wait_for_calls()
        job = dispatch.running_job()
        task = f"{job.array_id}_{job.task_id}"
        dispatch.cluster.run("scontrol", "requeuehold", task)
        dispatch.cluster.wait_until(lambda: f"scontrol release {task}" in screen(), PATIENCE_S)
        dispatch.cluster.run("scontrol", "release", task)
        run.wait(PATIENCE_S)
    assert run.returncode == 0, screen()
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=1)
    dispatch.assert_nothing_is_left()


@pytest.mark.slow
def test_a_dead_node_costs_its_calls_in_flight_and_no_more(dispatch: Dispatch, expected: Tables) -> None:
    serve_slowly(dispatch.project, 0.5)
    with dispatch.running() as run:
        dispatch.wait_for_calls()
        dispatch.cluster.kill_node("n1")
        dispatch.cluster.wait_until(
            lambda: not any(job.node == "n1" and job.state == "RUNNING" for job in dispatch.cluster.jobs()), PATIENCE_S
        )
        dispatch.cluster.start_node("n1")
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=1)
    dispatch.assert_nothing_is_left()


def test_a_job_without_enough_memory_is_tried_again_and_then_reported(dispatch: Dispatch, expected: Tables) -> None:
    with dispatch.running(max_retries=1, **resources(mem="60M")) as run:
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 1, output
    assert output.count("Its shards are submitted again") == dispatch.work.tasks
    assert "out of memory. Raise `mem` of extract_problems in runner.yml" in " ".join(output.split())
    assert "the same command goes on from here" in output
    dispatch.finish()
    assert dispatch.tables() == expected
    dispatch.assert_nothing_is_left()


@pytest.mark.slow
def test_a_model_that_one_node_cannot_hold_is_served_by_two(dispatch: Dispatch, expected: Tables) -> None:
    serve_slowly(dispatch.project, 0.2, "tests.support.team_model")
    with dispatch.running(**resources(nodes=2, tasks=1)) as run:
        dispatch.wait_for_calls()
        (job,) = dispatch.jobs()
        servers = dispatch.cluster.pids(job.id, "--node-rank")
        (second,) = [
            pid for pid in dispatch.cluster.pids(job.id, "--headless") if pid_runs(pid, "tests.support.team_model")
        ]
        os.kill(second, signal.SIGKILL)
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert len(servers) >= 2
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=1)
    dispatch.assert_nothing_is_left()


def test_a_controller_that_dies_and_returns_changes_nothing(dispatch: Dispatch, expected: Tables) -> None:
    serve_slowly(dispatch.project, 0.5)
    with dispatch.running() as run:
        dispatch.wait_for_calls()
        dispatch.cluster.kill_controller()
        dispatch.wait_for_calls(dispatch.answered().total() + 20)
        dispatch.cluster.start_controller()
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=0)
    dispatch.assert_nothing_is_left()


def test_a_killed_parent_finds_its_jobs_again_and_submits_none_twice(dispatch: Dispatch, expected: Tables) -> None:
    serve_slowly(dispatch.project, 0.2)
    with dispatch.running():
        dispatch.wait_for_calls()
        pause(dispatch.project)
    submitted = {job.array_id for job in dispatch.jobs()}
    found = f"found job {next(iter(submitted))} of an earlier run, {dispatch.work.tasks} tasks still at work"
    row, job = f"extract_problems {dispatch.work.tasks}", f"jobs {next(iter(submitted))};"
    status = dispatch.status()
    assert f"{row} running" in status
    assert job in status
    with dispatch.shown() as (run, screen):
        dispatch.cluster.wait_until(lambda: found in screen(), PATIENCE_S)
        resume(dispatch.project)
        run.wait(PATIENCE_S)
    assert run.returncode == 0, screen()
    assert len({job.array_id for job in dispatch.jobs()} - submitted) == dispatch.work.groups - 1, (
        "one more, for the second group"
    )
    assert f"{row} done 4/4" in dispatch.status()
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=0)
    dispatch.assert_nothing_is_left()


def test_ctrl_c_cancels_the_jobs_and_leaves_no_process(dispatch: Dispatch, expected: Tables) -> None:
    serve_slowly(dispatch.project, 0.2)
    output = interrupt(dispatch, lambda run: run.send_signal(signal.SIGINT))
    assert "Cancelled. What was finished is kept" in output
    dispatch.assert_nothing_is_left()
    dispatch.finish()
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=2)


@pytest.mark.slow
def test_ctrl_c_leaves_detached_jobs_at_work_and_the_same_command_finds_them(
    dispatch: Dispatch, expected: Tables
) -> None:
    serve_slowly(dispatch.project, 0.5)
    output = interrupt(dispatch, lambda run: run.send_signal(signal.SIGINT), detach=True)
    assert "The same command finds them again" in output
    submitted = {job.array_id for job in dispatch.jobs()}
    dispatch.finish(detach=True)
    assert len({job.array_id for job in dispatch.jobs()} - submitted) == dispatch.work.groups - 1, (
        "one more, for the second group"
    )
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=0)
    dispatch.assert_nothing_is_left()
