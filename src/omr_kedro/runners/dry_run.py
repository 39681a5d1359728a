"""The jobs of a run as they would be: scripts to read, a table to look at, nothing submitted."""

from __future__ import annotations

from collections.abc import Sequence

import rich
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from rich.table import Table

from omr_kedro.datasets import ShardsDataset
from omr_kedro.runners import slurm
from omr_kedro.runners.group_run import GroupRun, Workload
from omr_kedro.runners.groups import Group

_COLUMNS = ("group", "nodes", "shards to do", "tasks", "GPUs", "servers started", "time limit", "script")


def show(runs: Sequence[GroupRun], pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Write spec and script of each group that has something for jobs, and print what all of them have to do."""
    table = Table(title="Groups: one model server for each task takes its shards through all nodes")
    for name in _COLUMNS:
        table.add_column(name, overflow="fold")
    servers = 0
    for run in runs:
        missing = _missing(run.group, pipeline, catalog)
        workload = None if missing else run.workload()
        tasks = len(run.shares(workload.for_jobs)) if workload else 0
        servers += tasks
        table.add_row(
            run.group.name,
            f"{len(run.group.nodes)}: {', '.join(node.name.rpartition('.')[2] for node in run.group.nodes)}",
            f"{len(workload.pending)} of {workload.shards}" if workload else "?",
            str(tasks),
            str(slurm.gpus(run.resources, tasks)),
            str(tasks),
            run.resources.time,
            _written(run, workload) if workload else f"waits for its inputs: {', '.join(missing)}",
        )
    rich.get_console().print(table)
    rich.get_console().print(f"{len(runs)} groups, {servers} model servers; submitted nothing.", highlight=False)


def _missing(group: Group, pipeline: Pipeline, catalog: DataCatalog) -> list[str]:
    """Inputs that are still to be made: tables, and whatever else nodes of this run make."""
    tables = {name for name in group.inputs if isinstance(catalog.get(name), ShardsDataset)}
    return sorted(name for name in tables | (group.inputs & pipeline.all_outputs()) if not catalog.exists(name))


def _written(run: GroupRun, workload: Workload) -> str:
    if not workload.pending:
        return "up to date"
    paid = len(workload.pending) - len(workload.for_jobs)
    here = f"{paid} shards are first made here, of calls that are paid for" if paid else ""
    script = str(run.write(workload).script_path) if workload.for_jobs else ""
    return "; ".join(filter(None, (script, here)))
