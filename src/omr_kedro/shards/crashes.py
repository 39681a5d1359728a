"""Rows that a reader crashes on: one strange text of a million costs its own row, and no other.

What strangers write finds every fault of a reader. Such a fault becomes the outcome of the row that met it, with what
a person needs to mend the reader: kind, words and place of the error. It stays visible: these rows count as failed, and
the end of a run names their number and the first of them.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from omr_kedro.shards.printable import printable_name

logger = logging.getLogger(__name__)

READING_CRASHED = "reading_crashed"
"""Reason of rows whose reading raised an error; the stage that stands beside it names the step."""

Result = TypeVar("Result")
Other = TypeVar("Other")


def unless_crashed(otherwise: Callable[[str], Other], read: Callable[..., Result], *args: Any) -> Result | Other:
    """The result of reading one row, or of `otherwise` where that raises an error.

    Args:
        otherwise: takes kind, words and place of the error, on one short line that is harmless to print.
        read: reads what strangers wrote.
        args: of `read`.

    Raises:
        MemoryError: is the whole process's, as Ctrl-C is: readers take no more memory than a part of their text.
    """
    try:
        return read(*args)
    except MemoryError:
        raise
    except Exception as error:
        logger.debug("A row's reading crashed.", exc_info=True)
        return otherwise(printable_name(f"{type(error).__name__} ({place_of(error)}): {error}"))


def place_of(error: BaseException) -> str:
    """File and line of our own code that the error came out of."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "omr_kedro" in Path(frame.filename).parts]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "outside of omr_kedro"
