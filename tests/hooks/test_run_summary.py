from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import PythonSandboxDataset
from omr_kedro.hooks import RunSummary, StageReport
from omr_kedro.hooks.run_summary import _one_line, _show_crashes
from omr_kedro.sandbox import Sandbox
from omr_kedro.shards import READING_CRASHED, Row, Shards
from tests.support.tables import shards_of

LINE = "RecursionError (labels.py, line 44): \x1b[2Jdeep [bold]"


class Tables(dict[str, Shards]):
    """A catalog as far as the summary asks it."""

    load = dict.__getitem__


def shown(capsys: pytest.CaptureFixture[str], **tables: list[Row]) -> str:
    pipeline = Pipeline([Node(lambda x: x, "in", name, name=name) for name in tables])
    catalog: Any = Tables({name: shards_of(rows) for name, rows in tables.items()})
    _show_crashes(pipeline, catalog)
    return " ".join(capsys.readouterr().out.split())


def test_rows_that_met_a_fault_are_counted_and_the_first_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    crash = {"reason": READING_CRASHED, "detail": LINE}
    text = shown(
        capsys,
        threads_dropped=[{"reason": "duplicate_thread", "detail": "x"}],
        classify_mcq_dropped=[{"reason": "unparsed", "detail": "y"}, crash],
        classify_proof_dropped=[crash, crash],
    )
    assert "3 rows met a fault of this program (reading_crashed)" in text
    assert r"classify_mcq_dropped: RecursionError (labels.py, line 44): \x1b[2Jdeep [bold]" in text


def test_without_any_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, threads_dropped=[{"reason": "duplicate_thread", "detail": "x"}]) == ""


def run_with_code(cells: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The closing lines of a run whose node has these cells run."""

    def work(sandbox: Sandbox) -> None:
        for cell in cells:
            asyncio.run(sandbox.session("key").run(cell))

    pipeline = Pipeline([Node(work, "sandbox", "done", name="work")])
    catalog = DataCatalog({"sandbox": PythonSandboxDataset(isolation="none", nice=0, modules=[])})
    report = StageReport()
    report.before_pipeline_run(pipeline, catalog)
    work(catalog.load("sandbox"))
    catalog.release("sandbox")
    RunSummary(report).after_pipeline_run({}, pipeline, catalog)
    return " ".join(capsys.readouterr().out.split())


def test_a_run_that_used_the_sandbox_closes_with_how_its_code_ended(capsys: pytest.CaptureFixture[str]) -> None:
    said = run_with_code(["1 + 1", "1 / 0"], capsys)
    assert re.search(r"Code in the sandbox: 2 cells \(1 raised\), \d+ s together, largest session \d+ MB\.$", said)


def test_a_run_that_did_not_use_it_says_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with_code([], capsys) == ""


def test_an_example_is_one_short_line_that_steers_no_terminal() -> None:
    line = _one_line("Find\n\n x \x1b[2J\u202e " + "and so on " * 1000)
    assert line.startswith("Find x \\x1b[2J\\u202e and so on")
    assert len(line) <= 70
    assert line.isprintable()
    assert len(_one_line("x" * 100_000)) <= 70
