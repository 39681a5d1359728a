"""The project's own commands, and `kedro run` with the runner that the configuration names."""

from __future__ import annotations

import copy
from pathlib import Path

import click
import rich
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from kedro.utils import find_kedro_project

from omr_kedro.runners import ConfiguredRunner
from omr_kedro.runners.status import as_table, read_status, troubles


def _with_configured_runner(command: click.Command) -> click.Command:
    """Kedro makes a SequentialRunner where none is named, which would refuse the parameters of any other."""
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
        """Put the command in."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(name="omr_kedro", cls=RunUnlessNamed)
def cli() -> None:
    """Commands of this project."""


cli.add_command(run)


@cli.command()
@click.option("--env", "-e", help="Environment of the run that submitted the jobs.")
def status(env: str | None) -> None:
    """Show the jobs on Slurm: tasks, shards, calls, tokens, time left."""
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    bootstrap_project(project)
    with settings.SESSION_CLASS.create(project_path=project, env=env, save_on_close=False) as session:
        folder = session.job_folder
    groups = read_status(folder)
    console = rich.get_console()
    if not groups:
        console.print(f"No job was submitted yet: {folder} holds none.", soft_wrap=True, highlight=False)
        return
    console.print(as_table(groups))
    for line in troubles(groups):
        console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)
