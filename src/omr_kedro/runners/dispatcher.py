"""The executor that Kedro hands its tasks to: each runs here, or waits for the jobs of its group."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any

from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner.task import Task

from omr_kedro.runners import slurm
from omr_kedro.runners.errors import JobFailedError, SlurmError
from omr_kedro.runners.group_run import GroupRun
from omr_kedro.runners.job_table import with_job_tables
from omr_kedro.runners.options import SlurmOptions

logger = logging.getLogger(__name__)


class Dispatcher(Executor):
    """Runs the tasks that Kedro hands out.

    A group's first task waits for the group's jobs. All of its tasks then only check that their tables are there; they
    do it in this process, where the hooks are.
    """

    def __init__(
        self, pipeline: Pipeline, catalog: DataCatalog, runs: Sequence[GroupRun], options: SlurmOptions
    ) -> None:
        self._runs = {node.name: run for run in runs for node in run.group.nodes}
        self._made_by_jobs = with_job_tables(catalog, [run.group for run in runs])
        self._producers = {name: node.name for node in pipeline.nodes for name in node.outputs}
        self._options = options
        self._local = ThreadPoolExecutor(options.local_workers, thread_name_prefix="node")
        self._waiters = ThreadPoolExecutor(max(1, len(pipeline.nodes)), thread_name_prefix="group")
        self._done: set[str] = set()
        self._ending = False
        self._changed = threading.Condition()

    def submit(self, task: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ARG002 (Executor's own)
        """Take a task of Kedro's."""
        assert isinstance(task, Task), "Kedro submits nothing else"  # noqa: S101
        run = self._runs.get(task.node.name)
        future = self._waiters.submit(self._after_group, run, task) if run else self._local.submit(task)
        future.add_done_callback(partial(self._note, task.node.name))
        return future

    def _after_group(self, run: GroupRun, task: Task) -> Node:
        inputs = {self._producers[name] for name in run.group.inputs if name in self._producers}
        with self._changed:
            self._changed.wait_for(lambda: self._ending or inputs <= self._done)
        if not inputs <= self._done:
            raise JobFailedError(f"{run.group.name}: not started, since the run is ending")
        run.make()
        return Task(task.node, self._made_by_jobs, task.is_async, task.hook_manager, task.run_id).execute()

    def _note(self, node: str, future: Future[Any]) -> None:
        with self._changed:
            if not future.cancelled() and future.exception() is None:
                self._done.add(node)
            self._changed.notify_all()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if kind and issubclass(kind, KeyboardInterrupt):
            self._interrupted()
        elif kind:
            logger.error("A node failed; waiting for the others that have begun.")
        for pool in (self._local, self._waiters):
            pool.shutdown(cancel_futures=True)

    def _interrupted(self) -> None:
        left = {item.job_id: item for run in self._runs.values() for item in run.abandon()}
        jobs = sorted(left)
        if not jobs:
            return
        if self._options.detach:
            logger.warning("Stopped waiting; Slurm jobs %s go on. The same command finds them again.", ", ".join(jobs))
            return
        logger.warning("Cancelling Slurm jobs %s …", ", ".join(jobs))
        try:
            slurm.cancel(jobs)
            names = [submission.spec.name for submission in left.values()]
            while any(not state.gone for tasks in slurm.ask_queue(names).values() for state in tasks.values()):
                time.sleep(self._options.poll_s)
            for submission in left.values():
                submission.ended()
        except SlurmError as error:
            logger.error("Cancel them by hand: scancel %s. %s", " ".join(jobs), error)
            return
        logger.warning("Cancelled. What was finished is kept: the same command goes on from here.")
