"""Resources of a job that has 64 shards under way at the same time."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from omr_kedro.resources import processors
from omr_kedro.runners import job
from tests.support.project import Project
from tests.support.waiting import alive

LANES = 64
SERVER, WORKER = "omr_kedro.llm.serving.supervisor", "grading_worker.py"


def hard_threads(count: int) -> list[dict[str, Any]]:
    """Threads whose answers are read and compared by workers: no cheap rule knows an integral."""
    return [
        {
            "forum_post": f"Find the value of $f({number})$ for the area below the curve.",
            "forum_discussions": f"Post 1:\nThe answer is $\\boxed{{\\int_0^1 {number}x dx}}$.",
        }
        for number in range(count)
    ]


def test_a_job_with_64_lanes_has_one_pool_of_workers_and_one_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project.create(tmp_path / "project")
    runner = project.path / "conf/offline/runner.yml"
    settings = yaml.safe_load(runner.read_text())
    settings["SlurmRunner"]["resources"]["default"]["tasks"] = 1
    runner.write_text(yaml.safe_dump(settings))
    params = f"raw_threads={project.write_threads(hard_threads(3 * LANES))},prepare_threads.shards={LANES}"
    written = project.kedro(
        "run", "--env", "offline", "--pipelines=prepare_threads", f"--params={params}"
    )  # fmt: skip
    assert written.returncode == 0, written.stderr
    planned = project.kedro(
        "run", "--env", "offline", "--runner=omr_kedro.runners.SlurmRunner",
        f"--runner-params=dry_run=true,lanes={LANES}", f"--params={params}",
    )  # fmt: skip
    assert planned.returncode == 0, planned.stderr
    (spec,) = (project.path / "data/08_reporting/offline/slurm").glob("*/spec.json")

    started: dict[str, list[int]] = {SERVER: [], WORKER: []}
    start = subprocess.Popen

    def noting(words: list[str], *args: Any, **settings: Any) -> Any:
        process = start(words, *args, **settings)
        for kind, pids in started.items():
            if any(word.endswith(kind) for word in words):
                pids.append(process.pid)
        return process

    monkeypatch.setattr(subprocess, "Popen", noting)
    assert job.main([str(spec), "0"]) == 0
    print({kind: len(pids) for kind, pids in started.items()}, "processes for", LANES, "lanes")
    assert len(started[SERVER]) == 1
    assert 1 <= len(started[WORKER]) <= processors()
    assert not any(alive(pid) for pids in started.values() for pid in pids), "all of them end with the job"
    quality = list((project.path / "data/08_reporting/offline/answer_quality").glob("*.jsonl"))
    assert len(quality) == LANES
