"""Lines and tables of a run on a screen of 80 columns or more; no stage's name is broken."""

from __future__ import annotations

from contextlib import suppress

import rich
from rich import box
from rich.table import Table

NAME_WIDTH = 26
"""Longest name of a stage."""


def stage_rows(title: str, name: str = "stage") -> Table:
    """A table without frames whose first column holds names of stages; more columns are added by its user."""
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(name, overflow="fold", min_width=NAME_WIDTH)
    return table


def add_numbers(table: Table, *names: str) -> None:
    """Columns of numbers, one for each name, which may have several lines."""
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)


def say(line: str) -> None:
    """Print a line as it is, whatever it holds; a run whose terminal has gone goes on without it."""
    with suppress(OSError):
        rich.get_console().print(line, soft_wrap=True, highlight=False, markup=False)
