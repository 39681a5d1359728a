"""Runs whose model stages are Slurm jobs: started, watched, and looked over afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.project import FINAL_TABLES, Project
from tests.support.slow_model import answered
from tests.support.slurm import Cluster, Job
from tests.support.threads import make_threads

THREADS = "data/01_raw/mine.jsonl"
WINDOW = 16
"""Calls that a task of the offline environment may have in flight."""
PATIENCE_S = 300
"""After this a test that waits has failed. Slurm lets a job that it requeues wait for two minutes."""

DOUBLE = pytest.param("double", id="double")
REAL = pytest.param("real", id="real", marks=pytest.mark.slurm)
"""Clusters to run on."""
on_double = pytest.mark.parametrize("shared_cluster", [DOUBLE], indirect=True)
on_real = pytest.mark.parametrize("shared_cluster", [REAL], indirect=True)

Tables = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Work:
    """What a run is given to do."""

    pipelines: tuple[str, ...]
    """Those of the command."""
    groups: int
    """So many job arrays come of it."""
    tasks: int
    """So many tasks each of them has."""
    tables: tuple[str, ...]
    """What it makes."""

    def calmly(self, folder: Path) -> Tables:
        """What it makes in one process."""
        project = project_with_threads(folder)
        project.run(pipelines=list(self.pipelines), raw_threads=str(project.path / THREADS))
        return self.made_by(project)

    def made_by(self, project: Project) -> Tables:
        """What a project holds of it."""
        return {name: project.table(name) for name in self.tables}


ALL_STAGES = Work(pipelines=("problem_generation",), groups=2, tasks=2, tables=FINAL_TABLES)
FIRST_STAGES = Work(
    pipelines=("prepare_threads", "extract_problems", "classify_problems"),
    groups=1,
    tasks=1,
    tables=("extracted_problems", "proofs", "open_problems"),
)
"""One group of one task, with more waves of calls than one, in a quarter of the time."""


@dataclass(frozen=True)
class Dispatch:
    """A project whose runs go to a cluster."""

    cluster: Cluster
    project: Project
    work: Work

    def command(self, *options: str, **runner_params: Any) -> list[str]:
        """The words of `kedro run`; each task has a node of its own, unless `runner_params` say otherwise."""
        defaults = {"poll_s": 1, **resources(cpus_per_task=4, tasks=self.work.tasks)}
        given = ",".join(f"{name}={value}" for name, value in {**defaults, **runner_params}.items())
        kedro = str(Path(sys.executable).with_name("kedro"))
        runner = "--runner=omr_kedro.runners.SlurmRunner"
        threads = f"--params=raw_threads={THREADS}"
        pipelines = f"--pipelines={','.join(self.work.pipelines)}"
        return [kedro, "run", "--env", "offline", runner, f"--runner-params={given}", threads, pipelines, *options]

    @contextmanager
    def running(
        self, *options: str, screen: IO[str] | int = subprocess.PIPE, path: str = "", **runner_params: Any
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a run; whatever happens, it has ended afterwards. `path` is where its commands are looked for."""
        environment = {**os.environ, **self.cluster.environment, "COLUMNS": "200"} | ({"PATH": path} if path else {})
        process = subprocess.Popen(
            self.command(*options, **runner_params),
            cwd=self.project.path,
            env=environment,
            stdout=screen,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    @contextmanager
    def shown(self, **runner_params: Any) -> Iterator[tuple[subprocess.Popen[str], Callable[[], str]]]:
        """Start a run; gives as well what its screen shows by now, with single spaces."""
        path = self.project.path / "screen.txt"
        with path.open("w") as file, self.running(screen=file, **runner_params) as run:
            yield run, lambda: " ".join(path.read_text().split())

    def finish(self, *options: str, **runner_params: Any) -> str:
        """Run to the end; returns what the screen shows."""
        with self.running(*options, **runner_params) as run:
            output, _ = run.communicate(timeout=PATIENCE_S)
        assert run.returncode == 0, output
        return output

    def status(self) -> str:
        """What `kedro status` shows, without the lines of its table."""
        shown = self.project.kedro("status", "--env", "offline", env={**self.cluster.environment, "COLUMNS": "200"})
        assert shown.returncode == 0, shown.stderr
        return " ".join(shown.stdout.replace("│", " ").split())

    def jobs(self) -> list[Job]:
        """Its jobs, ended ones as well."""
        names = {f"omr-{folder.name}" for folder in self.folders()}
        return [job for job in self.cluster.jobs() if job.name in names]

    def running_job(self) -> Job:
        """One of its jobs that run."""
        return next(job for job in self.jobs() if job.state == "RUNNING")

    def folders(self) -> list[Path]:
        """Of all its submissions."""
        return list((self.project.path / "data/08_reporting/offline/slurm").glob("*"))

    def answered(self) -> Counter[str]:
        """How often each call was answered, by key."""
        return answered(self.project)

    def wait_for_calls(self, count: int = 10) -> None:
        """Wait until so many were answered."""
        self.cluster.wait_until(lambda: self.answered().total() >= count, PATIENCE_S)

    def tables(self) -> Tables:
        """What it has made."""
        return self.work.made_by(self.project)

    def assert_nothing_was_paid_twice(self, interrupted_servers: int) -> None:
        """But for calls that were in flight when a server was lost."""
        calls = self.answered()
        twice = calls.total() - len(calls)
        assert twice <= WINDOW * interrupted_servers, f"{twice} of {calls.total()} calls were paid for twice"

    def assert_nothing_is_left(self) -> None:
        """No job, and no process of one."""
        at_work = {"PENDING", "RUNNING", "COMPLETING"}
        self.cluster.wait_until(lambda: all(job.state not in at_work for job in self.cluster.jobs()))
        self.cluster.wait_until(lambda: not self.cluster.orphans())
        assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if _serves(path, self.project)]


def resources(**default: object) -> dict[str, Any]:
    """Runner parameters that give each task so much of something."""
    return {f"resources.default.{name}": value for name, value in default.items()}


def project_with_threads(folder: Path) -> Project:
    """A project with 40 threads to work on."""
    project = Project.create(folder)
    project.write_threads(make_threads(40), Path(THREADS).name)
    return project


def pid_runs(pid: int, module: str) -> bool:
    """Whether it is the server itself, and not the supervisor that holds it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:3] == [b"-m", module.encode()]


def _serves(path: Path, project: Project) -> bool:
    try:
        words = path.read_bytes().split(b"\0")
    except OSError:
        return False
    return b"--port" in words and str(project.path).encode() in words
