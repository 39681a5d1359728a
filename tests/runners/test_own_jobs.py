"""A node that needs no model server, but a machine of its own: embeddings on a GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from omr_kedro.runners.submission import JobSpec
from tests.support.project import PROBLEMS, Project

DISPATCHED = "omr_kedro.runners.SlurmRunner"


@pytest.mark.slow
def test_a_section_of_its_own_gives_a_node_jobs_of_its_own_which_need_no_model(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    project.run(pipelines=PROBLEMS)
    expected = project.table("similar_benchmarks")
    runner = project.path / "conf/offline/runner.yml"
    settings = yaml.safe_load(runner.read_text())
    settings["SlurmRunner"]["resources"]["decontaminate.retrieve_similar"] = {"gpus_per_node": 1, "tasks": 1}
    runner.write_text(yaml.safe_dump(settings))
    table = project.path / "data/03_primary/offline/similar_benchmarks"
    for path in [*table.glob("*.json*"), *table.glob(".made/*")]:
        path.unlink()
    planned = project.kedro(
        "run",
        "--env",
        "offline",
        "--pipelines",
        "decontaminate",
        "--runner",
        DISPATCHED,
        "--runner-params=dry_run=true",
    )
    assert planned.returncode == 0, planned.stderr
    (spec,) = project.path.glob("data/08_reporting/offline/slurm/retrieve_similar-*/spec.json")
    assert "--gpus-per-node=1" in (spec.parent / "job.sbatch").read_text()
    done = subprocess.run(
        [sys.executable, "-m", "omr_kedro.runners.job", str(spec), "0"],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    project.run(pipelines=PROBLEMS)
    assert project.table("similar_benchmarks") == expected


def test_retrieval_without_a_model_and_without_jobs_of_its_own_runs_in_the_parent(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    runner = project.path / "conf/base/runner.yml"
    settings = yaml.safe_load(runner.read_text())
    settings["SlurmRunner"]["resources"]["decontaminate.retrieve_similar"] = None
    runner.write_text(yaml.safe_dump(settings))
    params = "benchmarks=data/01_raw/example_benchmarks.jsonl,retrieval.kind=lexical"
    planned = project.kedro("run", "--runner-params=dry_run=true", f"--params={params}", env={"COLUMNS": "200"})
    assert planned.returncode == 0, planned.stderr
    assert "ask_decontaminate" in planned.stdout
    assert "retrieve_similar" not in planned.stdout


def test_a_job_asks_for_the_gpus_of_its_model_and_says_which_model_that_is(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    params = "benchmarks=data/01_raw/example_benchmarks.jsonl,retrieval.kind=lexical"
    planned = ["run", "--runner-params=dry_run=true,where=slurm", f"--params={params}"]
    assert project.kedro("run", "--pipelines=prepare_threads", f"--params={params}").returncode == 0
    done = project.kedro(*planned)
    assert done.returncode == 0, done.stderr
    spec = spec_of(project)
    assert spec.resources.gpus_per_node == 4
    assert spec.models == {"problem_model": "Qwen/Qwen2.5-32B-Instruct"}
    refused = project.kedro(*planned, "--runner-params=dry_run=true,resources.problem_model.gpus_per_node=2")
    assert refused.returncode == 1
    assert "problem_model: its server spreads over 4 GPUs" in refused.stderr
    spread = project.kedro(*planned, "--runner-params=dry_run=true,resources.problem_model.nodes=2")
    assert spread.returncode == 0, spread.stderr
    assert spec_of(project).resources.gpus_per_node == 2


def spec_of(project: Project) -> JobSpec:
    """The spec that was written last."""
    specs = project.path.glob("data/08_reporting/base/slurm/extract_problems-*/spec.json")
    return JobSpec.model_validate_json(max(specs, key=lambda path: path.stat().st_mtime_ns).read_bytes())
