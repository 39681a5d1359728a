from __future__ import annotations

import json
from pathlib import Path

import pytest

from omr_kedro.runners.resources import Resources
from omr_kedro.runners.slurm import TaskState
from omr_kedro.runners.status import GroupStatus, as_table, details, duration, read_status, summarise, troubles
from omr_kedro.runners.submission import JobSpec, Progress, Result, Submission
from omr_kedro.sandbox import Usage

RUNNING = TaskState("7_0", "RUNNING", "None", "n1")


def submission(
    root: Path,
    shares: list[list[str]],
    *,
    token: str = "one",
    attempt: int = 0,
    run_id: str = "now",
    models: dict[str, str] | None = None,
) -> Submission:
    spec = JobSpec(
        group="stage", token=token, attempt=attempt, project_path="/p", env=None, conf_source=None, runtime_params={},
        pipeline_names=[], run_id=run_id, nodes=["a", "b"], shares=shares, settings={}, resources=Resources(), lanes=1,
        warn_s=2, server_starts=1, models=models or {},
    )  # fmt: skip
    made = Submission.create(root, spec, "#!/bin/bash\n")
    made.submitted("7" if attempt == 0 else "8")
    return made


def report(made: Submission, task: int, result: Result | None = None, **progress: object) -> None:
    made.write(made.progress_path(task), Progress.model_validate(progress))
    if result:
        made.write(made.result_path(task), result)


def only(groups: list[GroupStatus]) -> GroupStatus:
    (group,) = groups
    return group


def test_the_time_left_follows_from_the_steps_of_running_tasks(tmp_path: Path) -> None:
    made = submission(tmp_path, [["s0", "s1"], ["s2", "s3"]])
    report(made, 0, steps_done=2, seconds=10, paid=50, rows=30)
    group = only(summarise([made], {made.spec.name: {0: RUNNING}}))
    assert group.rate("paid") == 5
    assert group.rate("rows") == 3
    assert group.seconds_left == pytest.approx((8 - 2) / 0.2)


def test_without_a_running_task_nothing_tells_the_time_left(tmp_path: Path) -> None:
    assert only(summarise([submission(tmp_path, [["s0"]])], {})).seconds_left is None
    assert duration(None) == "-"
    assert duration(3725) == "1:02:05"


def test_a_task_that_took_over_a_lost_share_stands_for_both_and_adds_to_what_was_spent(tmp_path: Path) -> None:
    first = submission(tmp_path, [["s0"], ["s1"]])
    report(first, 0, Result(state="failed", error="killed", retry=True), paid=10, shards_done=0)
    report(first, 1, Result(state="done"), paid=20, shards_done=1)
    second = submission(tmp_path, [["s0"]], token="two", attempt=1)
    report(second, 0, Result(state="done"), paid=5, shards_done=1)
    group = only(summarise([first, second], {}))
    assert dict(group.states) == {"done": 2}
    assert (group.total("shards_done"), group.shards) == (2, 2)
    assert group.spent("paid") == 35
    assert group.jobs == ["7", "8"]


def test_code_that_tasks_ran_is_summed_with_that_of_lost_tasks_and_told_where_there_was_any(tmp_path: Path) -> None:
    first = submission(tmp_path, [["s0"], ["s1"]])
    assert "code" not in details([only(summarise([first], {}))])[0]
    report(first, 0, Result(state="failed", error="killed"), code_run=Usage(10, errors=2, seconds=5, peak_memory_mb=80))
    report(first, 1, Result(state="done"), code_run=Usage(20, timeouts=1, seconds=15, peak_memory_mb=95))
    second = submission(tmp_path, [["s0"]], token="two", attempt=1)
    report(second, 0, Result(state="done"), code_run=Usage(5, seconds=1, peak_memory_mb=60))
    group = only(summarise([first, second], {}))
    assert group.code_run == Usage(35, errors=2, timeouts=1, seconds=21, peak_memory_mb=95)
    (line,) = details([group])
    assert line.endswith("; code: 35 runs (2 with an error, 1 out of time), 21 s together, 95 MB at most")


def test_runs_that_are_over_give_way_to_the_last_one(tmp_path: Path) -> None:
    old = submission(tmp_path, [["s0"], ["s1"], ["s2"]], token="old", run_id="before")
    old.ended()
    submission(tmp_path, [["s0"]], token="new")
    assert only(read_status(tmp_path)).shards == 1


def test_jobs_that_were_only_written_are_none(tmp_path: Path) -> None:
    made = submission(tmp_path, [["s0"]])
    (made.folder / "job_id").unlink()
    assert read_status(tmp_path) == []


@pytest.mark.parametrize(
    ("state", "result", "told"),
    [
        (TaskState("7_0", "PENDING", "Priority", ""), None, "7_0 waits: Priority"),
        (TaskState("7_0", "NODE_FAIL", "None", "n1"), None, "7_0 is NODE_FAIL, not done"),
        (None, None, "7_0 is unknown to Slurm"),
        (None, Result(state="failed", error="Trace\nValueError: x"), "7_0 failed: ValueError: x"),
    ],
)
def test_what_needs_a_person_is_said(tmp_path: Path, state: TaskState | None, result: Result | None, told: str) -> None:
    made = submission(tmp_path, [["s0"]])
    report(made, 0, result)
    (line,) = troubles(summarise([made], {made.spec.name: {0: state}} if state else {}))
    assert line.startswith(told)
    assert "task-0.err" in line or "waits" in line


def test_the_table_has_a_row_for_each_group_with_the_models_that_it_asks(tmp_path: Path) -> None:
    asked = submission(tmp_path, [["s0"], ["s1"]], models={"cot_model": "owner/solver", "judge_model": "owner/judge"})
    groups = summarise([asked], {})
    assert as_table(groups).row_count == 1
    (line,) = details(groups)
    assert line.startswith("stage: owner/solver, owner/judge; jobs 7; ")


def test_a_spec_of_a_version_that_named_no_models_can_still_be_read(tmp_path: Path) -> None:
    made = submission(tmp_path, [["s0"]])
    spec = json.loads(made.spec_path.read_bytes())
    del spec["models"]
    made.spec_path.write_text(json.dumps(spec))
    (status,) = read_status(tmp_path)
    assert status.models == []
