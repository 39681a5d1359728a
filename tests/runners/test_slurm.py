from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from omr_kedro.runners.errors import SlurmError
from omr_kedro.runners.resources import Resources
from omr_kedro.runners.slurm import TaskState, batch_script, gpus
from omr_kedro.runners.submission import JobSpec, Submission


def job_spec(params: dict[str, Any], **resources: Any) -> JobSpec:
    return JobSpec(
        group="stage", token="one", project_path="/pro ject", env=None, conf_source=None, runtime_params=params,
        pipeline_names=[], run_id="now", nodes=["a"], shares=[["s0"], ["s1"], ["s2"]], settings={},
        resources=Resources.model_validate(resources), lanes=1, warn_s=120, server_starts=1,
    )  # fmt: skip


def script(folder: Path, **resources: Any) -> str:
    return batch_script(job_spec({}, **resources), folder)


def test_a_script_says_what_it_asks_for_and_no_more(tmp_path: Path) -> None:
    lines = script(tmp_path, partition="gpu", gpus_per_node=4, time="02:00:00").splitlines()
    for option in ("--partition=gpu", "--gpus-per-node=4", "--time=02:00:00", "--array=0-2", "--signal=USR1@120"):
        assert f"#SBATCH {option}" in lines
    assert not any("account" in line or "qos" in line or "container" in line for line in lines)


def test_a_script_is_sound_shell_whatever_the_paths_are(tmp_path: Path) -> None:
    text = script(tmp_path / "a 'b' $c", setup=["module load cuda"])
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    assert "cd '/pro ject' || exit 1\nmodule load cuda\n" in text


def test_directives_hold_paths_that_a_shell_would_misread(tmp_path: Path) -> None:
    folder = tmp_path / "a b#c 'd' \"e\" 100%a"
    lines = script(folder).splitlines()
    written = str(folder).replace("%", "%%").replace('"', '\\"')
    assert f'#SBATCH --output="{written}/task-%a.out"' in lines
    assert f'#SBATCH --error="{written}/task-%a.err"' in lines


@pytest.mark.parametrize("name", ["back\\slash", "line\nend", "\x1b[2J"])
def test_a_path_that_slurm_cannot_write_logs_into_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(SlurmError, match="another path") as refused:
        script(tmp_path / name)
    assert str(refused.value).isprintable()


def test_parameters_reach_a_job_as_they_are_whatever_they_hold(tmp_path: Path) -> None:
    params = {
        "solve_tir": {"executions": {"most": 8, "drawn": True}},
        "range": [1, 8],
        "words": "two words, 'a' \"b\" $c",
    }
    made = Submission.create(tmp_path, job_spec(params), "")
    assert Submission.read(made.folder).spec.runtime_params == params


def test_a_share_of_the_array_may_wait_by_wish(tmp_path: Path) -> None:
    assert "#SBATCH --array=0-2%2" in script(tmp_path, max_running=2).splitlines()


def test_each_node_of_a_large_model_gets_a_process(tmp_path: Path) -> None:
    text = script(tmp_path, nodes=2)
    assert "#SBATCH --nodes=2" in text
    assert "srun --ntasks=2 --ntasks-per-node=1 --kill-on-bad-exit=1" in text


def test_a_container_sees_the_project_and_brings_its_own_python(tmp_path: Path) -> None:
    text = script(tmp_path, container_image="omr.sqsh")
    assert "--container-image=omr.sqsh '--container-mounts=/pro ject:/pro ject'" in text
    assert " python -m omr_kedro.runners.job " in text


def test_own_directives_come_last_and_win(tmp_path: Path) -> None:
    directives = [line for line in script(tmp_path, directives=["--no-requeue"]).splitlines() if "#SBATCH" in line]
    assert directives[-1] == "#SBATCH --no-requeue"


def test_gpus_are_those_that_run_at_the_same_time() -> None:
    assert gpus(Resources(gpus_per_node=4, nodes=2, max_running=3), tasks=8) == 24


@pytest.mark.parametrize(("state", "gone"), [("RUNNING", False), ("REQUEUED", False), ("NODE_FAIL", True)])
def test_a_task_is_gone_when_it_will_not_run_again(state: str, gone: bool) -> None:
    assert TaskState("1_0", state, "None", "").gone is gone
