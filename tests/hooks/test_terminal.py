from __future__ import annotations

import errno

import pytest
from kedro.io import DatasetError

from omr_kedro.hooks.terminal import explained
from omr_kedro.shards import DiskFullError, OmrError


def caught(cause: BaseException) -> BaseException:
    """The error as Kedro raises it."""
    with pytest.raises(DatasetError) as raised:
        raise DatasetError("Failed while saving data") from cause
    return raised.value


def test_an_error_that_explains_itself_is_found_behind_those_of_kedro() -> None:
    error = OmrError("what happened, where, and what to do")
    assert explained(caught(caught(error))) is error
    assert explained(caught(ValueError("a bug"))) is None


def test_a_disk_that_is_full_is_explained_whoever_wrote_to_it() -> None:
    error = explained(caught(OSError(errno.ENOSPC, "No space left on device", "funnel.json")))
    assert isinstance(error, DiskFullError)
    assert "funnel.json cannot be written: No space left on device. All that was finished" in str(error)
    assert explained(caught(OSError(errno.EACCES, "Permission denied"))) is None
