"""Our errors, in the form that Kedro passes on unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kedro.io import DatasetError

from omr_kedro.shards import OmrError


@contextmanager
def explained() -> Iterator[None]:
    """Let an explained error reach the person as it is, without Kedro's own sentence around it."""
    try:
        yield
    except OmrError as error:
        raise DatasetError(str(error)) from error
