"""How far the stages of a project are, by its files, on screens of any width."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from rich.console import Console
from rich.table import Table

from omr_kedro.estimate import Estimate, StageEstimate
from omr_kedro.estimate.figures import Sample
from omr_kedro.estimate.view import _table as estimate_table
from omr_kedro.hooks.run_summary import funnel_table
from omr_kedro.lineage.progress import StageState, stage_table
from omr_kedro.pipeline_registry import register_pipelines
from omr_kedro.runners.status import GroupStatus, as_table

LONGEST = "classify_converted_invalid"
MANY = 550_000


def shown(table: Table, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def tables() -> dict[str, Table]:
    row = {"stage": LONGEST, "unit": "problem", "rows_in": MANY, "kept": MANY, "dropped": MANY, "failed": MANY}
    branches = "290,000 on, 260,000 to convert_proofs"
    funnel = pd.DataFrame([{**row, "lost": 0, "rows_out": MANY, "branches": branches}])
    stage = StageEstimate(
        LONGEST, "problem_model", "owner/model", MANY, MANY, MANY, 1e9, 1e9, "", "", "", 99.0, "", 12345.67
    )
    return {
        "funnel": funnel_table(funnel),
        "estimate": estimate_table(Estimate([stage], [], [Sample("threads", 8, 512, MANY)])),
        "stages": stage_table([StageState(LONGEST, "at work", MANY, 512, 2 * MANY, 12345.0)]),
        "jobs": as_table([GroupStatus(LONGEST, [])]),
    }


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("name", ["funnel", "estimate", "stages", "jobs"])
def test_names_are_not_broken_and_numbers_not_cut(name: str, width: int) -> None:
    text = shown(tables()[name], width)
    assert LONGEST in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width


def test_the_longest_name_is_that_of_the_pipelines() -> None:
    nodes = (node.name.rpartition(".")[2] for node in register_pipelines()["__default__"].nodes)
    assert max(len(name.removeprefix("ask_")) for name in nodes if name.startswith("ask_")) == len(LONGEST)
