"""The account of a task: code that it had run, over all its lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node

from omr_kedro.datasets import PythonSandboxDataset
from omr_kedro.runners import job
from omr_kedro.runners.resources import Resources
from omr_kedro.runners.submission import JobSpec, Progress, Submission
from omr_kedro.runners.work import GroupWork
from omr_kedro.sandbox import Sandbox, Usage


def submission(folder: Path) -> Submission:
    spec = JobSpec(
        group="stage", token="one", project_path="/p", env=None, conf_source=None, runtime_params={}, pipeline_names=[],
        run_id="now", nodes=["solve"], shares=[["s0"]], settings={}, resources=Resources(), lanes=1, warn_s=2,
        server_starts=1,
    )  # fmt: skip
    return Submission.create(folder, spec, "")


class RunsCode(GroupWork):
    """A group whose one node has cells run, as an episode does."""

    def __init__(self, *cells: str) -> None:
        catalog = DataCatalog({"sandbox": PythonSandboxDataset(isolation="none", nice=0, modules=[])})
        super().__init__([Node(lambda sandbox: sandbox, "sandbox", "solutions", name="solve")], catalog)
        self._cells = cells

    def take_through(self, shard_id: str, number: int) -> Iterator[tuple[Node, int]]:
        sandbox: Sandbox = self.constants["sandbox"]
        for cell in self._cells:
            asyncio.run(sandbox.session(shard_id).run(cell))
        yield self.nodes[0], 1


def live(made: Submission, monkeypatch: pytest.MonkeyPatch, *cells: str) -> Progress:
    """What the first task says of itself after one more life."""

    @contextmanager
    def open_work(_: JobSpec) -> Iterator[GroupWork]:
        yield RunsCode(*cells)

    monkeypatch.setattr(job, "open_work", open_work)
    assert job.Job(made, 0).run() == 0
    progress = made.progress(0)
    assert progress
    return progress


def test_code_that_a_task_ran_is_in_its_progress_and_adds_up_over_its_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = submission(tmp_path)
    first = live(made, monkeypatch, "1 + 1", "1 / 0").code_run
    assert (first.cells, first.errors) == (2, 1)
    assert first.peak_memory_mb > 1
    second = live(made, monkeypatch, "2 + 2").code_run
    assert (second.cells, second.errors) == (3, 1)
    assert second.seconds >= first.seconds
    assert "; code: 3 cells (1 raised)" in caplog.text


def test_a_task_without_code_says_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert live(submission(tmp_path), monkeypatch).code_run == Usage()
    assert "code" not in caplog.text
