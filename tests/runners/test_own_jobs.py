"""A node that needs no model server, but a machine of its own: embeddings on a GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from tests.support.project import Project

DISPATCHED = "omr_kedro.runners.SlurmRunner"


def test_a_section_of_its_own_gives_a_node_jobs_of_its_own_which_need_no_model(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    project.run()
    expected = project.table("similar_benchmarks")
    runner = project.path / "conf/offline/runner.yml"
    settings = yaml.safe_load(runner.read_text())
    settings["SlurmRunner"]["resources"]["decontaminate.retrieve_similar"] = {"gpus_per_node": 1, "tasks": 1}
    runner.write_text(yaml.safe_dump(settings))
    table = project.path / "data/03_primary/offline/similar_benchmarks"
    for path in [*table.glob("*.json*"), *table.glob("_made/*")]:
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
    project.run()
    assert project.table("similar_benchmarks") == expected


def test_a_group_asks_for_what_its_model_needs_whatever_node_comes_first(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    runner = project.path / "conf/base/runner.yml"
    settings = yaml.safe_load(runner.read_text())
    settings["SlurmRunner"]["resources"]["decontaminate.retrieve_similar"] = None
    runner.write_text(yaml.safe_dump(settings))
    params = "benchmarks=data/01_raw/example_benchmarks.jsonl,retrieval.kind=lexical"
    planned = project.kedro("run", "--runner-params=dry_run=true", f"--params={params}", env={"COLUMNS": "200"})
    assert planned.returncode == 0, planned.stderr
    assert "drop_duplicates, retrieve_similar," in planned.stdout
