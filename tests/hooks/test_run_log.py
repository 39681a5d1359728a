"""Details of a run go to a file, and a file that cannot be written stops nothing."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from omr_kedro.hooks.run_log import FILE, VERBOSE_VARIABLE, run_log

TABLES = logging.getLogger("omr_kedro.datasets.shards")


@pytest.fixture
def screen() -> Iterator[io.StringIO]:
    """A handler of the root, as a terminal has one."""
    shown = io.StringIO()
    handler = logging.StreamHandler(shown)
    root = logging.getLogger()
    root.addHandler(handler)
    TABLES.setLevel(logging.INFO)
    yield shown
    root.removeHandler(handler)


def test_details_are_in_the_file_and_warnings_on_both(tmp_path: Path, screen: io.StringIO) -> None:
    with run_log(tmp_path):
        TABLES.info("made 4 of 4 shards")
        TABLES.warning("a warning")
    TABLES.info("after the run")
    assert screen.getvalue() == "a warning\nafter the run\n"
    log = (tmp_path / FILE).read_text()
    assert "INFO omr_kedro.datasets.shards: made 4 of 4 shards" in log
    assert "a warning" in log
    assert "after the run" not in log


def test_a_variable_brings_details_back(tmp_path: Path, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VERBOSE_VARIABLE, "1")
    with run_log(tmp_path):
        TABLES.info("made 4 of 4 shards")
    assert screen.getvalue() == "made 4 of 4 shards\n"


def test_a_log_file_that_cannot_be_written_stops_nothing(tmp_path: Path, screen: io.StringIO) -> None:
    (tmp_path / FILE).mkdir()
    with run_log(tmp_path):
        TABLES.warning("first")
        TABLES.warning("second")
    assert screen.getvalue() == "first\nsecond\n"


def test_what_the_sandbox_tells_of_itself_is_in_the_file_and_its_warnings_on_both(
    tmp_path: Path, screen: io.StringIO
) -> None:
    pool = logging.getLogger("omr_kedro.sandbox.pool")
    pool.setLevel(logging.INFO)
    with run_log(tmp_path):
        pool.info("sandbox: isolation by none")
        pool.warning("sandbox: cells cannot import scipy")
    assert screen.getvalue() == "sandbox: cells cannot import scipy\n"
    assert "isolation by none" in (tmp_path / FILE).read_text()
