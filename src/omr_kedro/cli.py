"""The project's own commands, and `kedro run` with the runner that the configuration names."""

from __future__ import annotations

import copy

import click
from kedro.framework.cli.project import run as kedro_run

from omr_kedro.runners import ConfiguredRunner


def _with_configured_runner(command: click.Command) -> click.Command:
    """Kedro makes a SequentialRunner where none is named, which would refuse the parameters of any other."""
    changed = copy.copy(command)
    changed.params = [copy.copy(param) for param in command.params]
    for param in changed.params:
        if param.name == "runner":
            param.default = f"{ConfiguredRunner.__module__}.{ConfiguredRunner.__name__}"
    return changed


run = _with_configured_runner(kedro_run)


@click.group(name="omr_kedro")
def cli() -> None:
    """Commands of this project."""


cli.add_command(run)
