"""Output that fits the person or the file that it goes to."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

import pyarrow as pa
import rich
from kedro.framework.hooks import hook_impl
from kedro.io import DatasetError
from kedro.validation import ParameterValidationError
from rich.console import Console
from rich.text import Text

from omr_kedro.shards import OmrError
from omr_kedro.shards.crashes import place_of
from omr_kedro.shards.files import disk_full
from omr_kedro.shards.printable import printable

TRACEBACK_VARIABLE = "OMR_TRACEBACK"
"""Environment variable that brings the whole traceback back, for those who report a defect."""


_RUNNERS = ("kedro.runner.sequential_runner", "kedro.runner.thread_runner", "omr_kedro.runners.runner")


class Terminal:
    """Gives files and pipes whole lines, and errors that explain themselves no forty frames of traceback."""

    @hook_impl
    def after_context_created(self) -> None:
        """Set both up for this process."""
        if not sys.stdout.isatty():
            rich.reconfigure(width=160)
        # A run whose reader is gone (`kedro run | head`) goes on: rich would end whichever thread prints next.
        setattr(rich.get_console(), "on_broken_pipe", _print_nowhere)  # noqa: B010 (a method of one object)
        show_errors_explained()
        # Where it is ignored (nohup), it stays ignored.
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            signal.signal(signal.SIGHUP, _hang_up)


def show_errors_explained() -> None:
    """Let errors that end this process be a sentence where they explain themselves, without Kedro's own advice."""
    hook = sys.excepthook
    if not (isinstance(hook, partial) and hook.func is _print_explained):
        sys.excepthook = partial(_print_explained, hook)
    for name in _RUNNERS:
        logging.getLogger(name).addFilter(_is_no_advice_to_resume)


def _is_no_advice_to_resume(record: logging.LogRecord) -> bool:
    """Pass over Kedro's advice on nodes to resume from: here the same command resumes, and errors say so."""
    return record.funcName != "_suggest_resume_scenario"


def _hang_up(*_: object) -> None:
    """End the run as Ctrl-C does; the shell and the kernel may both send the signal, and only one of them counts."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise KeyboardInterrupt


def _print_nowhere() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def explained(error: BaseException | None) -> BaseException | None:
    """The error behind those of Kedro that says what a person can do; None where there is no such."""
    while error is not None:
        if isinstance(error, OmrError | ParameterValidationError):
            return error
        if isinstance(error, OSError):
            return disk_full(error, error.filename or "A file") or _of_the_system(error)
        if isinstance(error, _FROM_DATA):
            return OmrError(f"{type(error).__name__}: {error} ({place_of(error)}). {_KEPT}")
        error = error.__cause__ if isinstance(error, DatasetError) else None
    return None


_FROM_DATA = (pa.ArrowException, UnicodeError, RecursionError, MemoryError)
"""Errors of other libraries, and of the interpreter, that speak of data and not of a defect in the code around them."""
_KEPT = (
    "Everything that was finished is kept. If the file named is not yours to mend, please report this with the "
    f"traceback that {TRACEBACK_VARIABLE}=1 in front of the same command shows."
)
_REMEDIES = {
    errno.EMFILE: "This process may open no more files: raise the limit (ulimit -n 4096); the same command goes on.",
    errno.ENFILE: "This machine may open no more files: end other programs, and run the same command again.",
    errno.EACCES: "Give yourself the right to it (ls -l shows who has it), or name another place.",
    errno.EPERM: "Give yourself the right to it (ls -l shows who has it), or name another place.",
    errno.ENOENT: "Check the name, and that nothing deletes files while the run is at work.",
    errno.EIO: "The disk or the network file system has failed: see to it before you run the same command again.",
}


def _of_the_system(error: OSError) -> OmrError:
    remedy = _REMEDIES.get(error.errno or 0, "")
    return OmrError(
        f"{error.filename or 'The system'}: {error.strerror or error} ({place_of(error)}). {remedy or _KEPT}"
    )


def _print_explained(
    otherwise: Callable[..., Any], kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if (explanation := explained(error)) and not os.environ.get(TRACEBACK_VARIABLE):
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        # Bodies of servers, names of files and fields stand in errors, and are not ours.
        console.print("\n[bold red]Stopped.[/]", Text(printable(str(explanation))))
    else:
        otherwise(kind, error, trace)
