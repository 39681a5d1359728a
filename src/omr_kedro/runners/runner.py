"""Kedro's runner for clusters: node groups become Slurm job arrays, all other nodes run in this process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

from kedro.framework.project import pipelines
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import AbstractRunner
from pluggy import PluginManager
from pydantic import ValidationError

from omr_kedro.datasets import ChatModelDataset
from omr_kedro.runners import dry_run, slurm
from omr_kedro.runners.checks import check_here, check_shared
from omr_kedro.runners.dispatcher import Dispatcher
from omr_kedro.runners.errors import RunnerConfigError
from omr_kedro.runners.first_split import first_split
from omr_kedro.runners.group_run import GroupRun
from omr_kedro.runners.groups import Group, find_groups
from omr_kedro.runners.job_arrays import JobArrays
from omr_kedro.runners.options import SlurmOptions
from omr_kedro.runners.resources import Resources, check_gpus, check_names, resolve
from omr_kedro.runners.slurm import Queue
from omr_kedro.runners.submission import SessionSpec
from omr_kedro.runners.work import GroupWork
from omr_kedro.shards.names import near_names


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
            unknown = (str(item["loc"][0]) for item in error.errors() if item["type"] == "extra_forbidden")
            near = [name for each in unknown for name in near_names(each, SlurmOptions.model_fields)]
            question = f" Did you mean {' or '.join(near)}?" if near else ""
            known = ", ".join(SlurmOptions.model_fields)
            raise RunnerConfigError(
                f"SlurmRunner (runner.yml, --runner-params): {wrong}.{question} Known: {known}."
            ) from None
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
            check_here(pipeline, catalog)
            super()._run(pipeline, catalog, hook_manager, run_id)
            return
        runs = self._group_runs(pipeline, catalog, run_id or "")
        if self.options.dry_run:
            split = first_split(pipeline, catalog)
            planned = len(next(iter(split[1].values())).fingerprints) if split else None
            dry_run.show(runs, planned, pipeline, catalog)
            return
        self._dispatcher = Dispatcher(pipeline, catalog, runs, self.options)
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

        def arrays(group: Group) -> JobArrays:
            models = {name: model.load().name for name, model in _models(group.inputs, catalog)}
            needs, retries = self._needs(group, catalog), self.options.max_retries
            return JobArrays(group, needs, {**spec, "models": models}, root, queue, retries)

        return [GroupRun(group, arrays(group), partial(GroupWork, group.nodes, catalog)) for group in groups]

    def _check_gpus(self, groups: Sequence[Group], catalog: DataCatalog) -> None:
        for group in groups:
            if models := {name: model.gpus for name, model in _models(group.inputs, catalog) if model.gpus}:
                check_gpus(" and ".join(models), sum(models.values()), self._needs(group, catalog))

    def _label(self, catalog: DataCatalog, node: Node) -> tuple[str, ...] | None:
        models = _models(node.inputs, catalog)
        if not models and self.options.resources.get(node.name):
            return (node.name, self._resources(node, catalog).model_dump_json())  # a job of its own, without a model
        if not models or any(model.remote for _, model in models):
            return None
        names = [name for name, _ in models]
        namespace = (node.namespace or "") if self.options.group_by == "namespace" else ""
        return (*names, namespace, self._resources(node, catalog).model_dump_json())

    def _needs(self, group: Group, catalog: DataCatalog) -> Resources:
        """Resources of the first node that is dispatched for its own sake; others only go along."""
        leader = next(node for node in group.nodes if self._label(catalog, node) is not None)
        return self._resources(leader, catalog)

    def _resources(self, node: Node, catalog: DataCatalog) -> Resources:
        models = dict(_models(node.inputs, catalog))
        resources = resolve(self.options.resources, [*models, node.namespace or "", node.name])
        if "gpus_per_node" in resources.model_fields_set:
            return resources
        wanted = sum(model.gpus or 0 for model in models.values())
        return resources.model_copy(update={"gpus_per_node": ceil(wanted / resources.nodes)})


def _models(names: Iterable[str], catalog: DataCatalog) -> list[tuple[str, ChatModelDataset]]:
    """The chat models among some datasets, by name."""
    return [(name, model) for name in sorted(names) if isinstance(model := catalog.get(name), ChatModelDataset)]


def _known_names(pipeline: Pipeline) -> set[str]:
    names = {name for node in pipeline.nodes for name in (node.name, node.namespace or "", *node.inputs)}
    return {name for name in names if name and not name.startswith("params:")}


def _all_pipelines() -> Pipeline:
    return sum(pipelines.values(), start=Pipeline([]))
