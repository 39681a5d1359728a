"""Runs whose model stages are Slurm jobs: started, watched, and looked over afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.support.project import Project
from tests.support.slow_model import answered
from tests.support.slurm import Cluster, Job

WINDOW = 16
"""Calls that a task of the offline environment may have in flight."""
PATIENCE_S = 300
"""After this a test that waits has failed. Slurm lets a job that it requeues wait for two minutes."""
_A_NODE_EACH = {"resources.default.cpus_per_task": 4}


def command(*options: str, **runner_params: object) -> list[str]:
    given = ",".join(f"{name}={value}" for name, value in {"poll_s": 1, **_A_NODE_EACH, **runner_params}.items())
    kedro = str(Path(sys.executable).with_name("kedro"))
    runner = "--runner=omr_kedro.runners.SlurmRunner"
    threads = "--params=raw_threads=data/01_raw/mine.jsonl"
    return [kedro, "run", "--env", "offline", runner, f"--runner-params={given}", threads, *options]


@contextmanager
def running(
    cluster: Cluster, project: Project, words: Sequence[str], screen: IO[str] | int = subprocess.PIPE, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, **cluster.environment, "COLUMNS": "200", **variables}
    process = subprocess.Popen(
        words, cwd=project.path, env=environment, stdout=screen, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finish(cluster: Cluster, project: Project, words: Sequence[str]) -> str:
    """Run to the end; returns what the screen shows."""
    with running(cluster, project, words) as run:
        output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, output
    return output


def status(cluster: Cluster, project: Project) -> str:
    """What `kedro status` shows, without the lines of its table."""
    shown = project.kedro("status", "--env", "offline", env={**cluster.environment, "COLUMNS": "200"})
    assert shown.returncode == 0, shown.stderr
    return " ".join(shown.stdout.replace("│", " ").split())


def jobs_of(cluster: Cluster, project: Project) -> list[Job]:
    folders = (project.path / "data/08_reporting/offline/slurm").glob("*")
    names = {f"omr-{folder.name}" for folder in folders}
    return [job for job in cluster.jobs() if job.name in names]


def wait_for_calls(cluster: Cluster, project: Project, count: int = 10) -> None:
    cluster.wait_until(lambda: answered(project).total() >= count, PATIENCE_S)


def assert_nothing_was_paid_twice(project: Project, interrupted_servers: int) -> None:
    calls = answered(project)
    twice = calls.total() - len(calls)
    assert twice <= WINDOW * interrupted_servers, f"{twice} of {calls.total()} calls were paid for twice"


def assert_nothing_is_left(cluster: Cluster, project: Project) -> None:
    cluster.wait_until(lambda: all(job.state not in {"PENDING", "RUNNING", "COMPLETING"} for job in cluster.jobs()))
    cluster.wait_until(lambda: not cluster.orphans())
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if _serves(path, project)]


def pid_runs(pid: int, module: str) -> bool:
    """Whether it is the server itself, and not the supervisor that holds it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:3] == [b"-m", module.encode()]


def _serves(path: Path, project: Project) -> bool:
    try:
        words = path.read_bytes().split(b"\0")
    except OSError:
        return False
    return b"--port" in words and str(project.path).encode() in words
