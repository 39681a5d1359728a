"""Logs of a run: all of them in a file, and on the screen those that a person waits for."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

VERBOSE_VARIABLE = "OMR_VERBOSE"
"""Environment variable that brings the lines of each table, each node and each call's closing back to the screen."""

FILE = "info.log"
_MOST_BYTES = 10_000_000
# A line for each node and each table hides the lines that matter; `StageReport` says the same once a stage.
# Kedro's runners log by the name of the module that they stand in, ours as well.
_DETAILS = (
    "kedro",
    "omr_kedro.runners.runner",
    "omr_kedro.datasets.shards",
    "omr_kedro.datasets.published_files",
    "omr_kedro.llm.engine.engine",
    "omr_kedro.sandbox",
)


@contextmanager
def run_log(folder: Path) -> Iterator[None]:
    """Keep the log of a run in a file of this folder, and details off the screen as long as nobody asks for them."""
    root = logging.getLogger()
    screens = [handler for handler in root.handlers if not isinstance(handler, _LogFile)]
    file = _LogFile(folder / FILE, maxBytes=_MOST_BYTES, backupCount=1, encoding="utf-8", delay=True)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(file)
    for handler in screens:
        handler.addFilter(_matters)
    try:
        yield
    finally:
        for handler in screens:
            handler.removeFilter(_matters)
        root.removeHandler(file)
        file.close()


def _matters(record: logging.LogRecord) -> bool:
    """Whether a record belongs on the screen."""
    detail = any(record.name == name or record.name.startswith(f"{name}.") for name in _DETAILS)
    return record.levelno >= logging.WARNING or not detail or bool(os.environ.get(VERBOSE_VARIABLE))


class _LogFile(RotatingFileHandler):
    """A log file that is a convenience: where it cannot be written, the run goes on without it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:
            logging.getLogger().removeHandler(self)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's own)
        """A disk that is full stops the run by its tables, which say so."""
