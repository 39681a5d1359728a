"""The project's own commands, and `kedro run` with the runner that the configuration names."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import orjson
import rich
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import pipelines, settings
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Pipeline
from kedro.utils import find_kedro_project

from omr_kedro.estimate import estimate
from omr_kedro.estimate import show as show_estimate
from omr_kedro.lineage import show, trace
from omr_kedro.lineage.project_tables import ProjectTables
from omr_kedro.runners import ConfiguredRunner
from omr_kedro.runners.status import as_table, read_status, troubles
from omr_kedro.session import OMRSession


def _with_configured_runner(command: click.Command) -> click.Command:
    """The command with `ConfiguredRunner` as its default; Kedro's own would refuse other runners' parameters."""
    changed = copy.copy(command)
    changed.params = [copy.copy(param) for param in command.params]
    for param in changed.params:
        if param.name == "runner":
            param.default = f"{ConfiguredRunner.__module__}.{ConfiguredRunner.__name__}"
    return changed


run = _with_configured_runner(kedro_run)


class RunUnlessNamed(click.Group):
    """A group whose options are those of `run` where no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with `run` before them where no command is named."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(name="omr_kedro", cls=RunUnlessNamed)
def cli() -> None:
    """Commands of this project."""


cli.add_command(run)


def _takes(*names: str) -> Callable[[click.Command], click.Command]:
    """Give a command options of `kedro run`, so that both understand the same words."""

    def add(command: click.Command) -> click.Command:
        command.params += [copy.copy(option) for option in kedro_run.params if option.name in names]
        return command

    return add


@contextmanager
def _open_session(env: str | None, params: Mapping[str, Any] | None = None) -> Iterator[OMRSession]:
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    bootstrap_project(project)
    with settings.SESSION_CLASS.create(
        project_path=project, env=env, runtime_params=dict(params or {}), save_on_close=False
    ) as session:
        yield session


@_takes("env")
@cli.command()
def status(env: str | None) -> None:
    """Show the jobs on Slurm: tasks, shards, calls, tokens, time left."""
    with _open_session(env) as session:
        folder = session.job_folder
    groups = read_status(folder)
    console = rich.get_console()
    if not groups:
        console.print(f"No job was submitted yet: {folder} holds none.", soft_wrap=True, highlight=False)
        return
    console.print(as_table(groups))
    for line in troubles(groups):
        console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)


@_takes("env", "params")
@cli.command()
@click.argument("id")
@click.option("--full", is_flag=True, help="Show all messages of each call, worked examples included.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
def lineage(id: str, env: str | None, params: dict[str, Any], full: bool, as_json: bool) -> None:
    """Show where a problem or a thread comes from and what became of it.

    ID is a problem_id or a thread_id, or its first digits.
    """
    with _open_session(env, params) as session:
        found = trace(ProjectTables(pipelines.values(), session.load_context().catalog), id)
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        show(found, rich.get_console(), full=full)


@_takes("env", "params", "pipelines")
@cli.command("estimate")
@click.option("--sample", type=click.IntRange(min=1), help="Look at so many threads at least.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def estimate_command(
    env: str | None, params: dict[str, Any], pipelines: list[str], sample: int | None, as_json: bool
) -> None:
    """Show what a run would cost, by stage: calls, tokens, hours, money. Nothing is asked of a model."""
    with _open_session(env, params) as session:
        chosen = sum((_pipeline(name) for name in pipelines or ["__default__"]), start=Pipeline([]))
        found = estimate(_every_node(), chosen, session.load_context().catalog, sample)
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        show_estimate(found, rich.get_console())


def _pipeline(name: str) -> Pipeline:
    if name not in pipelines:
        raise click.BadParameter(f"'{name}' is no pipeline; there are {', '.join(pipelines)}", param_hint="--pipelines")
    found: Pipeline = pipelines[name]
    return found


def _every_node() -> Pipeline:
    return sum(pipelines.values(), start=Pipeline([]))
