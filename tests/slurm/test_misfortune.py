"""Rare troubles of a cluster, made to order on the double: the same tables, and nothing paid for twice."""

from __future__ import annotations

import pytest

from tests.support.dispatch import PATIENCE_S, Dispatch, Tables, on_double
from tests.support.slow_model import serve_slowly
from tests.support.slurm import DoubleCluster

pytestmark = on_double


@pytest.fixture
def double(dispatch: Dispatch) -> DoubleCluster:
    assert isinstance(dispatch.cluster, DoubleCluster)
    return dispatch.cluster


def test_a_refused_submission_ends_the_run_with_the_reason_and_leaves_no_job(
    dispatch: Dispatch, double: DoubleCluster
) -> None:
    double.order(refuse="Invalid account or account/partition combination specified")
    with dispatch.running() as run:
        output, _ = run.communicate(timeout=PATIENCE_S)
    double.order(refuse="")
    assert run.returncode == 1
    assert "Batch job submission failed: Invalid account" in " ".join(output.split())
    assert "Traceback" not in output
    assert not dispatch.jobs()


def test_a_job_whose_number_never_arrived_is_found_by_its_name_and_not_submitted_again(
    dispatch: Dispatch, double: DoubleCluster, expected: Tables
) -> None:
    serve_slowly(dispatch.project, 0.01)
    double.order(deaf=1)
    assert "Slurm does not answer; trying again" in dispatch.finish()
    assert len(dispatch.jobs()) == 1
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=0)


def test_a_submission_waits_for_a_controller_that_does_not_answer(
    dispatch: Dispatch, double: DoubleCluster, expected: Tables
) -> None:
    double.kill_controller()
    with dispatch.shown() as (run, screen):
        double.wait_until(lambda: "Slurm does not answer; trying again" in screen(), PATIENCE_S)
        double.start_controller()
        run.wait(PATIENCE_S)
    assert run.returncode == 0, screen()
    assert dispatch.tables() == expected


@pytest.mark.parametrize(
    ("state", "told"),
    [("LOST", "ended as unknown to Slurm"), ("TIMEOUT", "ended as TIMEOUT (TimeLimit)")],
)
def test_shards_of_a_task_that_ended_without_a_word_are_submitted_again(
    dispatch: Dispatch, double: DoubleCluster, expected: Tables, state: str, told: str
) -> None:
    serve_slowly(dispatch.project, 0.2)
    with dispatch.running() as run:
        dispatch.wait_for_calls()
        double.bring(dispatch.running_job().id, state)
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert told in " ".join(output.split())
    assert output.count("Its shards are submitted again") == 1
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=1)
    dispatch.assert_nothing_is_left()


def test_a_preempted_task_waits_in_the_queue_and_goes_on(
    dispatch: Dispatch, double: DoubleCluster, expected: Tables
) -> None:
    serve_slowly(dispatch.project, 0.2)
    with dispatch.running() as run:
        dispatch.wait_for_calls()
        double.bring(dispatch.running_job().id, "PREEMPTED")
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    assert [job.restarts for job in dispatch.jobs()] == [1], "nothing was submitted again"
    assert dispatch.tables() == expected
    dispatch.assert_nothing_was_paid_twice(interrupted_servers=1)


def test_a_task_that_slurm_could_not_start_is_reported_as_held(
    dispatch: Dispatch, double: DoubleCluster, expected: Tables
) -> None:
    double.order(fail_to_start=1)
    with dispatch.shown() as (run, screen):
        double.wait_until(lambda: "(launch failed requeued held) until somebody runs" in screen(), PATIENCE_S)
        (job,) = dispatch.jobs()
        double.run("scontrol", "release", f"{job.array_id}_{job.task_id}")
        run.wait(PATIENCE_S)
    assert run.returncode == 0, screen()
    assert dispatch.tables() == expected
