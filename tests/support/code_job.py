"""Tasks whose work is code in the sandbox: `python -m tests.support.code_job SPEC TASK`, as `omr_kedro.runners.job`.

A task is the job's own, with its signals and its account; its group is not of a project. It opens three sessions, of
which one heeds nothing, one is idle, and one counts, and writes beside the spec which processes they have
(`task-0.sandbox.json`) and how far it has counted, with whether that began anew (`task-0.counted`). It counts on until
there is a file `enough`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from kedro.io import DataCatalog
from kedro.pipeline import Node

from omr_kedro.datasets import PythonSandboxDataset
from omr_kedro.llm.calls import StoppedError
from omr_kedro.runners import job
from omr_kedro.runners.resources import Resources
from omr_kedro.runners.submission import JobSpec, Submission
from omr_kedro.runners.work import GroupWork
from omr_kedro.sandbox import Result, Sandbox
from tests.support.processes import command_line, descendants

_DEAF = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass"

Work = Callable[[Sandbox], object]


def submission(root: Path, tasks: int = 1) -> Submission:
    """A job array of so many tasks with a shard each."""
    spec = JobSpec(
        group="solve", token="one", project_path="/", env=None, conf_source=None, runtime_params={}, pipeline_names=[],
        run_id="now", nodes=["solve"], shares=[[f"s{task}"] for task in range(tasks)], settings={},
        resources=Resources(), lanes=1, warn_s=2, server_starts=1,
    )  # fmt: skip
    return Submission.create(root, spec, "")


class RunsCode(GroupWork):
    """A group whose one node uses the sandbox."""

    def __init__(self, work: Work, **sandbox: object) -> None:
        catalog = DataCatalog({"sandbox": PythonSandboxDataset(nice=0, modules=[], **sandbox)})  # type: ignore[arg-type]
        super().__init__([Node(lambda sandbox: sandbox, "sandbox", "solutions", name="solve")], catalog)
        self._work = work

    def take_through(self, shard_id: str, number: int) -> Iterator[tuple[Node, int]]:
        self._work(self.constants["sandbox"])
        yield self.nodes[0], 1


def live(made: Submission, task: int, work: Work, **sandbox: object) -> int:
    """One life of a task; its exit status."""

    @contextmanager
    def open_work(_: JobSpec) -> Iterator[GroupWork]:
        yield RunsCode(work, **sandbox)

    with patch.object(job, "open_work", open_work):
        return job.Job(made, task).run()


async def _count(sandbox: Sandbox, folder: Path, task: int) -> None:
    deaf, idle, counting = (sandbox.session(name) for name in ("deaf", "idle", "counting"))
    for session in (deaf, idle, counting):
        _checked(await session.run("n = 0"))
    endless = asyncio.create_task(deaf.run(_DEAF))
    pids = [pid for pid in descendants() if "from jail import" in command_line(pid)]
    (folder / f"task-{task}.sandbox.json").write_text(json.dumps(pids))
    while not (folder / "enough").exists():
        result = _checked(await counting.run("import time\ntime.sleep(0.02)\nn += 1\nn"))
        with (folder / f"task-{task}.counted").open("a") as file:
            file.write(f"{result.stdout.strip()} {'anew' if result.rebuilt else 'on'}\n")
    await deaf.close()
    await endless


def _checked(result: Result) -> Result:
    """A result that the cell itself gave.

    Raises:
        StoppedError: the sandbox has ended under it.
    """
    if not result.settled:
        raise StoppedError(result.stderr)
    return result


def main(spec: Path, task: int) -> int:
    """Run a task."""
    made = Submission.read(spec.parent)
    return live(made, task, lambda sandbox: asyncio.run(_count(sandbox, made.folder, task)), seconds=120, cores=4)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
