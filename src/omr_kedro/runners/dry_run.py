"""The jobs of a run as they would be: scripts to read, a table to look at, nothing submitted."""

from __future__ import annotations

from collections.abc import Sequence

import rich
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from omr_kedro.datasets import ShardsDataset
from omr_kedro.runners import slurm
from omr_kedro.runners.group_run import GroupRun, Workload
from omr_kedro.runners.groups import Group
from omr_kedro.screen import add_numbers, say, stage_rows
from omr_kedro.shards.identity import shard_names


def show(runs: Sequence[GroupRun], planned: int | None, pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Write spec and script of each group that has something for jobs, and print what all of them have to do.

    Args:
        runs: the groups.
        planned: number of shards that tables will have which are not there yet; None where nothing tells.
        pipeline: of the run.
        catalog: of the run.
    """
    table = stage_rows("One model server for each task takes its shards through a group's nodes", "group")
    add_numbers(table, "shards to do", "tasks", "GPUs", "time limit")
    servers, lines = 0, []
    for run in runs:
        missing = _missing(run.group, pipeline, catalog)
        workload = _planned(planned) if missing else run.workload()
        tasks = len(run.shares(workload.for_jobs))
        servers += tasks
        table.add_row(
            run.group.name,
            f"{len(workload.pending)} of {workload.shards}" if workload.shards else "?",
            str(tasks),
            str(slurm.gpus(run.resources, tasks)),
            run.resources.time,
        )
        nodes = ", ".join(node.name.rpartition(".")[2] for node in run.group.nodes)
        state = f"waits for its inputs: {', '.join(missing)}" if missing else _written(run, workload)
        lines.append(f"  {run.group.name} ({len(run.group.nodes)} nodes: {nodes}): {state}")
    rich.get_console().print(table)
    for line in [*lines, f"{len(runs)} groups, {servers} model servers; submitted nothing."]:
        say(line)


def _planned(shards: int | None) -> Workload:
    """The work of a group whose inputs are still to be made, if all of it goes to jobs."""
    names = shard_names(shards or 0)
    return Workload(len(names), names, names)


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
