from __future__ import annotations

from typing import Any

import pytest
from kedro.pipeline import Node, Pipeline

from omr_kedro.hooks.run_summary import _one_line, _show_crashes
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


def test_an_example_is_one_short_line_that_steers_no_terminal() -> None:
    line = _one_line("Find\n\n x \x1b[2J\u202e " + "and so on " * 1000)
    assert line.startswith("Find x \\x1b[2J\\u202e and so on")
    assert len(line) <= 70
    assert line.isprintable()
    assert len(_one_line("x" * 100_000)) <= 70
