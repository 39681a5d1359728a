"""All of problem generation: as `kedro run` runs it, and as the tasks of a job array do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from kedro.framework.project import pipelines, settings
from kedro.framework.startup import bootstrap_project
from tests.support.project import Project
from tests.support.threads import make_threads

from omr_kedro.runners import SlurmRunner
from omr_kedro.runners.errors import JobFailedError
from omr_kedro.runners.job import Job
from omr_kedro.runners.submission import Submission
from trials.child import Child

_THREADS = 24
_SHARDS = 4
_SLURM = "data/08_reporting/offline/slurm"


@dataclass
class KedroRun:
    """`kedro run --env offline` on generated threads, with an endpoint of the trial's own."""

    name: str = "kedro run"
    processes: int = 1
    versions: int = 2
    window: int = 16

    def prepare(self, folder: Path) -> None:
        """A project folder, and two inputs of which the second has other threads too."""
        project = Project.create(folder)
        threads = make_threads(_THREADS)
        for version in (1, 2):
            chosen = threads[: -_THREADS // 4] if version == 1 else threads
            project.write_threads(chosen, f"threads-{version}.jsonl")
        models = folder / "conf/offline/globals.yml"
        text = models.read_text("utf-8")
        assert text.count("\n    timeout_s: 60\n") == 1
        models.write_text(text.replace("\n    timeout_s: 60\n", "\n    timeout_s: 3\n"), "utf-8")
        bootstrap_project(folder)
        # Once and here, not in each child.
        assert pipelines["problem_generation"]
        _import_plugins()

    def run(self, folder: Path, endpoint: str, version: int, number: int) -> None:
        """Generate problems."""
        del number
        kedro_run(folder, endpoint, version)

    def finish(self, folder: Path, endpoint: str, version: int) -> None:
        """The same again."""
        kedro_run(folder, endpoint, version)


@dataclass
class JobTasks(KedroRun):
    """Two tasks of a job array at the same time, as Slurm would start them, without Slurm."""

    name: str = "job tasks"
    processes: int = 2
    versions: int = 1
    window: int = 2 * 16

    def prepare(self, folder: Path) -> None:
        """Also the threads' table and the job's spec, as the parent leaves them."""
        super().prepare(folder)
        ending = Child(lambda _: _write_spec(folder), folder / "prepare.log").wait()
        assert ending and ending.status == 0, (folder / "prepare.log").read_text()[-3000:]

    def run(self, folder: Path, endpoint: str, version: int, number: int) -> None:
        """One task."""
        del version
        (spec,) = (folder / _SLURM).glob("*/spec.json")
        submission = Submission.read(spec.parent)
        params = {**submission.spec.runtime_params, "endpoint": endpoint}
        submission = Submission(spec.parent, submission.spec.model_copy(update={"runtime_params": params}))
        if status := Job(submission, number % 2).run():
            result = submission.result(number % 2)
            text = result.error if result else "no result was written"
            # What ends with a traceback has explained nothing; see `Job.run`.
            raise RuntimeError(text) if "Traceback" in text else JobFailedError(f"status {status}: {text}")

    def finish(self, folder: Path, endpoint: str, version: int) -> None:
        """Both tasks, then what the parent does when they are done."""
        for number in (0, 1):
            self.run(folder, endpoint, version, number)
        kedro_run(folder, endpoint, version)


def kedro_run(
    folder: Path,
    endpoint: str | None,
    version: int,
    names: Sequence[str] = ("problem_generation",),
    runner: Any = None,
) -> None:
    """`kedro run`, in this process, of problem generation unless other pipelines are named."""
    bootstrap_project(folder)
    params = {
        "model": "trial",
        "raw_threads": str(folder / f"data/01_raw/threads-{version}.jsonl"),
        "prepare_threads": {"shards": _SHARDS},
        **({"endpoint": endpoint} if endpoint else {}),
    }
    with settings.SESSION_CLASS.create(
        project_path=folder, env="offline", runtime_params=params, save_on_close=False
    ) as session:
        session.run(pipeline_names=list(names), runner=runner)


@cache
def _import_plugins() -> None:
    for plugin in entry_points(group="kedro.hooks"):
        plugin.load()


def _write_spec(folder: Path) -> None:
    kedro_run(folder, None, 1, ["prepare_threads"])
    kedro_run(folder, None, 1, runner=SlurmRunner(dry_run=True))
