"""Output that fits the person or the file that it goes to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

import rich
from kedro.framework.hooks import hook_impl
from kedro.io import DatasetError
from kedro.validation import ParameterValidationError
from rich.console import Console
from rich.text import Text

from omr_kedro.shards import OmrError
from omr_kedro.shards.files import disk_full


class Terminal:
    """Gives files and pipes whole lines, and errors that explain themselves no forty frames of traceback."""

    @hook_impl
    def after_context_created(self) -> None:
        """Set both up for this process."""
        if not sys.stdout.isatty():
            rich.reconfigure(width=160)
        sys.excepthook = partial(_print_explained, sys.excepthook)


def explained(error: BaseException | None) -> BaseException | None:
    """The error behind those of Kedro that says what a person can do; None where there is no such."""
    while error is not None:
        if isinstance(error, OmrError | ParameterValidationError):
            return error
        if isinstance(error, OSError):
            return disk_full(error, error.filename or "A file")
        error = error.__cause__ if isinstance(error, DatasetError) else None
    return None


def _print_explained(
    otherwise: Callable[..., Any], kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if explanation := explained(error):
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print("\n[bold red]Stopped.[/]", Text(str(explanation)))
    else:
        otherwise(kind, error, trace)
