"""Kedro's runner for clusters: node groups become Slurm job arrays, all other nodes run in this process."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import rich
from kedro.framework.project import pipelines
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import AbstractRunner
from kedro.runner.task import Task
from pluggy import PluginManager
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.table import Table

from omr_kedro.datasets import ChatModelDataset, ShardsDataset
from omr_kedro.runners import slurm
from omr_kedro.runners.dispatch import GroupRun, Plan
from omr_kedro.runners.errors import (
    JobFailedError,
    NoPlaceToRunError,
    RunnerConfigError,
    SlurmError,
    UnsharedDatasetError,
)
from omr_kedro.runners.groups import GPU_TAG, Group, find_groups
from omr_kedro.runners.resources import Resources, check_gpus, check_names, resolve
from omr_kedro.runners.slurm import Queue
from omr_kedro.runners.work import GroupWork

logger = logging.getLogger(__name__)


class SlurmOptions(BaseModel):
    """The section `SlurmRunner` of `runner.yml`; `--runner-params` override it."""

    model_config = ConfigDict(extra="forbid")

    where: Literal["auto", "slurm", "here"] = "auto"
    """`auto`: on Slurm where there is `sbatch`, else in this process."""
    folder: str = "data/08_reporting/slurm"
    """Specs, scripts and logs of jobs; on a file system that all nodes share, below the project's folder."""
    group_by: Literal["model", "namespace"] = "model"
    """`model`: one server start for all connected stages. `namespace`: a job array for each pipeline."""
    resources: dict[str, dict[str, Any] | None] = {}
    """By `default`, name of a model, of a pipeline, of a node; the later override the earlier. A node without a model
    that has a section has jobs of its own; null takes it away."""
    max_retries: int = Field(default=2, ge=0)
    """How often the shards of a task that was lost are submitted again."""
    poll_s: float = Field(default=10, ge=1)
    """Seconds between two looks at the queue, for all jobs together."""
    lanes: int = Field(default=64, ge=1)
    """Shards that a task has under way at the same time."""
    warn_s: int = Field(default=120, ge=2)
    """Seconds before its time limit that a job stops asking, and puts itself back into the queue."""
    server_starts: int = Field(default=2, ge=1)
    """How often one task may start its model server."""
    local_workers: int = Field(default=1, ge=1)
    """Nodes that run in this process at the same time."""
    detach: bool = False
    """Whether Ctrl-C leaves the jobs at work; the same command finds them again."""
    dry_run: bool = False
    """Write specs and scripts, show the plan, submit nothing."""


@dataclass(frozen=True)
class SessionSpec:
    """What a job needs to open the project as this session did."""

    project_path: str
    env: str | None
    conf_source: str | None
    runtime_params: dict[str, Any] = field(default_factory=dict)
    pipeline_names: list[str] = field(default_factory=list)


class SlurmRunner(AbstractRunner):
    """Dispatches groups of nodes to Slurm; see `SlurmOptions` for what it takes.

    Nodes tagged `gpu` whose model is served locally are dispatched, together with the nodes tagged `by_shard` between
    and behind them; and those tagged `by_shard` whose own name stands in `resources`. Everything else runs here.
    """

    def __init__(self, is_async: bool = False, **given: Any) -> None:
        super().__init__(is_async=is_async)
        self.given = given
        """As they were passed, to be merged with `runner.yml`."""
        try:
            self.options = SlurmOptions.model_validate(given)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            known = ", ".join(SlurmOptions.model_fields)
            raise RunnerConfigError(f"SlurmRunner (runner.yml, --runner-params): {wrong}. Known: {known}.") from None
        self._session: SessionSpec | None = None
        self._dispatcher: Dispatcher | None = None

    def __str__(self) -> str:
        return f"SlurmRunner ({'dry run' if self.options.dry_run else self.where})"

    @property
    def where(self) -> str:
        """`slurm` or `here`."""
        return ("slurm" if slurm.is_here() else "here") if self.options.where == "auto" else self.options.where

    def bind(self, session: SessionSpec) -> None:
        """Tell how jobs open the project."""
        self._session = session

    def _get_executor(self, max_workers: int) -> Executor | None:  # noqa: ARG002 (Kedro's own)
        return self._dispatcher

    def _run(
        self,
        pipeline: Pipeline,
        catalog: Any,
        hook_manager: PluginManager | None = None,
        run_id: str | None = None,
    ) -> None:
        if self.where == "here" and not self.options.dry_run:
            _check_here(pipeline, catalog)
            super()._run(pipeline, catalog, hook_manager, run_id)
            return
        runs = self._group_runs(pipeline, catalog, run_id or "")
        if self.options.dry_run:
            _show([self._write(run) for run in runs], "submitted nothing")
            return
        for name in (name for run in runs for name in run.group.outputs):
            dataset = catalog.get(name)
            assert isinstance(dataset, ShardsDataset), "checked with the groups"  # noqa: S101
            dataset.made_elsewhere = True
        self._dispatcher = Dispatcher(pipeline, runs, self.options)
        super()._run(pipeline, catalog, hook_manager, run_id)

    def _group_runs(self, pipeline: Pipeline, catalog: DataCatalog, run_id: str) -> list[GroupRun]:
        session = self._session
        if session is None:
            raise RunnerConfigError("SlurmRunner needs the project's session: SESSION_CLASS in settings.py.")
        check_names(self.options.resources, _known_names(pipeline + _all_pipelines()))
        groups = find_groups(pipeline, partial(self._label, catalog))
        check_shared(groups, catalog)
        self._check_gpus(groups, catalog)
        root = Path(session.project_path) / self.options.folder
        spec = {
            **session.__dict__,
            "run_id": run_id,
            "lanes": self.options.lanes,
            "warn_s": self.options.warn_s,
            "server_starts": self.options.server_starts,
        }
        queue = Queue(self.options.poll_s)
        return [
            GroupRun(
                group, self._needs(group, catalog), partial(GroupWork, group.nodes, catalog), spec, root,
                queue, self.options.max_retries,
            )
            for group in groups
        ]  # fmt: skip

    def _check_gpus(self, groups: Sequence[Group], catalog: DataCatalog) -> None:
        for group in groups:
            for name in sorted(group.inputs):
                if isinstance(model := catalog.get(name), ChatModelDataset) and model.gpus:
                    check_gpus(name, model.gpus, self._needs(group, catalog))

    def _label(self, catalog: DataCatalog, node: Node) -> tuple[str, ...] | None:
        models = [(name, model) for name in node.inputs if isinstance(model := catalog.get(name), ChatModelDataset)]
        if not models and self.options.resources.get(node.name):
            return (node.name, self._resources(node, catalog).model_dump_json())  # a job of its own, without a model
        if not models or any(model.remote for _, model in models):
            return None
        names = [name for name, _ in models]
        namespace = (node.namespace or "") if self.options.group_by == "namespace" else ""
        return (*names, namespace, self._resources(node, catalog).model_dump_json())

    def _needs(self, group: Group, catalog: DataCatalog) -> Resources:
        """What the first node needs that is dispatched for its own sake; others only go along."""
        leader = next(node for node in group.nodes if self._label(catalog, node) is not None)
        return self._resources(leader, catalog)

    def _resources(self, node: Node, catalog: DataCatalog) -> Resources:
        models = [name for name in node.inputs if isinstance(catalog.get(name), ChatModelDataset)]
        return resolve(self.options.resources, [*models, node.namespace or "", node.name])

    def _write(self, run: GroupRun) -> tuple[Plan, str]:
        plan = run.plan()
        if plan.pending is None:
            return plan, "waits for its inputs: " + ", ".join(sorted(run.group.inputs))
        return plan, str(run.write(plan).script_path) if plan.pending else "up to date"


class Dispatcher(Executor):
    """What Kedro hands its tasks to.

    A group's first task waits for the group's jobs. All of its tasks then only check that their tables are there; they
    do it in this process, where the hooks are.
    """

    def __init__(self, pipeline: Pipeline, runs: Sequence[GroupRun], options: SlurmOptions) -> None:
        self._runs = {node.name: run for run in runs for node in run.group.nodes}
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
        return task.execute()

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


def check_shared(groups: Sequence[Group], catalog: DataCatalog) -> None:
    """Refuse groups that exchange with this process what only lives in memory.

    Raises:
        UnsharedDatasetError: lists all of them.
    """
    wrong = [
        f"  {node.name}: {kind} '{name}' {why}"
        for group in groups
        for node in group.nodes
        for kind, names in (("input", node.inputs), ("output", node.outputs))
        for name in names
        if (why := _unshared(name, kind, catalog))
    ]
    if wrong:
        raise UnsharedDatasetError(
            "A Slurm job cannot see what lives in this process, and works on sharded tables:\n"
            + "\n".join(dict.fromkeys(wrong))
            + "\nDeclare them in conf/base/catalog*.yml (tables as omr_kedro.datasets.ShardsDataset), or take the tags "
            f"'{GPU_TAG}' and 'by_shard' from these nodes. Nothing was submitted."
        )


def _unshared(name: str, kind: str, catalog: DataCatalog) -> str:
    if name == "parameters" or name.startswith("params:"):
        return ""  # a job reads them from the configuration, as this process did
    dataset = catalog.get(name)
    if dataset is None or isinstance(dataset, MemoryDataset):
        return "lives in memory"
    if kind == "output" and not isinstance(dataset, ShardsDataset):
        return f"is a {type(dataset).__name__}"
    return ""


def _check_here(pipeline: Pipeline, catalog: DataCatalog) -> None:
    models = {name: catalog.get(name) for node in pipeline.nodes for name in node.inputs}
    for model in models.values():
        if isinstance(model, ChatModelDataset):
            model.check_installed()
            if model.needs_gpu and not _sees_gpu():
                raise NoPlaceToRunError(
                    "There is no Slurm here (no `sbatch`), and no GPU to serve the model on. On a cluster, run this "
                    "on a login node. Without one, use a hosted model (kedro run --env demo), the rule-based stand-in "
                    "(kedro run --env offline), or any endpoint of yours: --params=endpoint=http://host:8000/v1"
                )


def _sees_gpu() -> bool:
    return shutil.which("nvidia-smi") is not None or any(Path("/dev").glob("nvidia[0-9]*"))


def _known_names(pipeline: Pipeline) -> set[str]:
    names = {name for node in pipeline.nodes for name in (node.name, node.namespace or "", *node.inputs)}
    return {name for name in names if name and not name.startswith("params:")}


def _all_pipelines() -> Pipeline:
    return sum(pipelines.values(), start=Pipeline([]))


def _show(plans: Sequence[tuple[Plan, str]], closing: str) -> None:
    table = Table(title="Groups: one model server for each task takes its shards through all nodes")
    for name in ("group", "nodes", "shards to do", "tasks", "GPUs", "servers started", "time limit", "script"):
        table.add_column(name, overflow="fold")
    starts = 0
    for plan, note in plans:
        tasks = len(plan.shares)
        starts += tasks
        to_do = "?" if plan.pending is None else f"{len(plan.pending)} of {plan.shards}"
        gpus = str(slurm.gpus(plan.resources, tasks))
        nodes = f"{len(plan.group.nodes)}: {', '.join(node.name.rpartition('.')[2] for node in plan.group.nodes)}"
        table.add_row(plan.group.name, nodes, to_do, str(tasks), gpus, str(tasks), plan.resources.time, note)
    rich.get_console().print(table)
    rich.get_console().print(f"{len(plans)} groups, {starts} model servers; {closing}.", highlight=False)
