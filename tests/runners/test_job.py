"""The account of a task: code that it had run, over all its lives."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from omr_kedro.runners.submission import Progress, Submission
from omr_kedro.sandbox import Sandbox, Usage
from tests.support.code_job import live, submission


def run_cells(made: Submission, *cells: str) -> Progress:
    """What the first task says of itself after one more life, in which it had these cells run."""

    def work(sandbox: Sandbox) -> None:
        for cell in cells:
            asyncio.run(sandbox.session("key").run(cell))

    assert live(made, 0, work, isolation="none") == 0
    progress = made.progress(0)
    assert progress
    return progress


def test_code_that_a_task_ran_is_in_its_progress_and_adds_up_over_its_lives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = submission(tmp_path)
    first = run_cells(made, "1 + 1", "1 / 0").code_run
    assert (first.cells, first.errors) == (2, 1)
    assert first.peak_memory_mb > 1
    second = run_cells(made, "2 + 2").code_run
    assert (second.cells, second.errors) == (3, 1)
    assert second.seconds >= first.seconds
    assert "; code: 3 runs (1 with an error)" in caplog.text


def test_a_task_without_code_says_nothing_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert run_cells(submission(tmp_path)).code_run == Usage()
    assert "code" not in caplog.text
