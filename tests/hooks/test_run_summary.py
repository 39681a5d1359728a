from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import PublishedFilesDataset, PythonSandboxDataset, ShardsDataset
from omr_kedro.hooks import RunSummary, StageReport
from omr_kedro.hooks.run_summary import _CHAINS, Chain, _one_line, _show_crashes, _show_dataset, _show_way_on
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


def test_the_dataset_is_told_with_the_rows_of_its_configs_and_those_that_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = DataCatalog({"published_cot": PublishedFilesDataset(filepath=str(tmp_path / "dataset"), config="cot")})
    pipeline = Pipeline([Node(lambda x: x, "in", "published_cot", name="publish_cot")])
    rows = {"cot": 1234, **{f"view_{number}": number for number in range(20)}}
    counts = pd.DataFrame([{"config": name, "rows": count, "empty": "it is Monday"} for name, count in rows.items()])
    _show_dataset(counts, pipeline, catalog)
    lines = capsys.readouterr().out.splitlines()
    assert str(tmp_path / "dataset") in " ".join(lines)
    assert any(line.startswith("Rows of its configs: cot 1,234, view_1 1, ") for line in lines)
    assert "  no rows, so no files, of view_0: it is Monday" in lines
    assert all(len(line) <= 100 for line in lines[1:])


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
    assert re.search(r"Code in the sandbox: 2 runs \(1 with an error\), \d+ s together, \d+ MB at most\.$", said)


def test_a_run_that_did_not_use_it_says_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with_code([], capsys) == ""


class Kept(ShardsDataset):
    """A table as far as the summary looks at its first row."""

    def __init__(self, row: Row | None) -> None:
        self._rows = [row] if row else []

    @property
    def store(self) -> Any:
        return SimpleNamespace(head=lambda count: self._rows[:count])


SOLUTION = {
    "solution_id": "s1", "problem_id": "p1", "problem": "Find $x$.", "solution": "The text.", "predicted_answer": "5",
    "verdict": "correct", "votes_for": 6, "samples_drawn": 12,
}  # fmt: skip


EXAMPLES = ("problems", "cot_solutions", "cot_summaries", "tir_solutions")


def way_on(capsys: pytest.CaptureFixture[str], *chains: Chain, **rows: Row | None) -> str:
    tables: dict[str, Row | None] = {**dict.fromkeys(EXAMPLES), **rows}
    catalog: Any = {name: Kept(row) for name, row in tables.items()}
    _show_way_on(list(chains), catalog, "offline")
    return capsys.readouterr().out


def test_the_example_of_a_run_of_solutions_is_one_of_them_with_its_summary_answer_and_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    summary = {"solution_id": "s1", "summary": "In short\nit is 5."}
    said = way_on(capsys, *_CHAINS, cot_solutions=SOLUTION, cot_summaries=summary)
    assert "One problem: Find $x$.\n  solved in text:        In short it is 5.\n" in said
    assert "and its answer:        5 (correct; 6 of 12 samples have it)" in said
    assert "kedro lineage p1 --env offline" in said
    assert "plots: funnel_plot, solutions_funnel_plot" in said


def test_a_solution_without_a_summary_of_its_own_shows_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    other = {"solution_id": "s2", "summary": "Of another one."}
    assert "in text:        The text." in way_on(capsys, _CHAINS[1], cot_solutions=SOLUTION, cot_summaries=other)


def conversation(*turns: str) -> str:
    """The messages of a solution with code in each turn but the last, as the table has them."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Find $x$."}]
    for number, said in enumerate(turns):
        call = {"id": f"call_{number}", "function": {"name": "python", "arguments": json.dumps({"code": "2 +\n 3"})}}
        last = number == len(turns) - 1
        messages.append({"role": "assistant", "content": said} | ({} if last else {"tool_calls": [call]}))
        messages += [] if last else [{"role": "tool", "content": "5\x1b[2J\n"}]
    return json.dumps(messages)


def test_a_solution_with_code_of_the_same_problem_is_shown_turn_by_turn(capsys: pytest.CaptureFixture[str]) -> None:
    coded = {**SOLUTION, "votes_for": 3, "messages": conversation("I compute.", "It is 5.")}
    said = way_on(capsys, _CHAINS[1], cot_solutions=SOLUTION, tir_solutions=coded)
    assert said.splitlines()[3:9] == [
        "  solved with code:",
        "    the model says       I compute.",
        "    and runs             2 + 3",
        r"    the sandbox prints   5\x1b[2J",
        "    … and so on: 1 more",
        "  and its answer:        5 (correct; 3 of 12 samples have it)",
    ]


def test_where_only_code_has_solved_anything_that_is_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    coded = {**SOLUTION, "messages": conversation("I compute.", "It is 5.")}
    said = way_on(capsys, _CHAINS[1], tir_solutions=coded)
    assert "solved with code" in said
    assert "solved in text" not in said
    assert "No solution is left" not in said


def test_of_a_long_conversation_the_beginning_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    coded = {**SOLUTION, "messages": conversation(*"abcdef")}
    lines = way_on(capsys, _CHAINS[1], cot_solutions=SOLUTION, tir_solutions=coded).splitlines()
    assert lines[4:8] == [
        "    the model says       a",
        "    and runs             2 + 3",
        r"    the sandbox prints   5\x1b[2J",
        "    … and so on: 13 more",
    ]


def test_a_solution_with_code_of_another_problem_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    other = {**SOLUTION, "problem_id": "p2", "messages": conversation("I compute.", "It is 5.")}
    assert "with code" not in way_on(capsys, _CHAINS[1], cot_solutions=SOLUTION, tir_solutions=other)


@pytest.mark.parametrize(
    ("chains", "rows", "said"),
    [
        (_CHAINS, {"problems": {"problem_id": "p", "problem": "Find $y$."}}, ["No solution is left", "Find $y$."]),
        (_CHAINS[1:], {}, ["No solution is left"]),
        (_CHAINS[:1], {}, ["No problem is left"]),
    ],
)
def test_a_run_that_kept_nothing_says_so(
    capsys: pytest.CaptureFixture[str], chains: list[Chain], rows: dict[str, Row], said: list[str]
) -> None:
    shown = way_on(capsys, *chains, **rows)
    assert all(words in shown for words in said)
    assert "solved in" not in shown


def test_a_run_of_comparisons_alone_closes_with_a_choice(capsys: pytest.CaptureFixture[str]) -> None:
    selection = {"problem_id": "p1", "problem": "Find $x$.", "candidates": [{}, {}, {}], "chosen": 1}
    said = way_on(capsys, _CHAINS[2], right_selections=selection)
    assert "One problem: Find $x$.\n  of its solutions:      2 of 3 was chosen, a right one" in said


@pytest.mark.parametrize(("agreed", "told"), [(3, True), (15, False)])
def test_a_run_closes_with_a_word_on_a_judge_that_goes_by_the_order_of_candidates(
    capsys: pytest.CaptureFixture[str], agreed: int, told: bool
) -> None:
    frame = pd.DataFrame(
        [
            {"position": "1", "asked_twice": 20, "agreed": agreed},
            {"position": "all", "asked_twice": 20, "agreed": agreed},
        ]
    )
    pipeline = Pipeline([Node(lambda x: x, "in", "selection_positions", name="report_positions")])
    catalog = DataCatalog({"selection_positions": MemoryDataset(frame)})
    RunSummary(StageReport()).after_pipeline_run({}, pipeline, catalog)
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "LOOK AT THIS: of 20 sets of candidates that were asked about in two orders, 3 had the same" in said
    ) is told


def test_an_example_is_one_short_line_that_steers_no_terminal() -> None:
    line = _one_line("Find\n\n x \x1b[2J\u202e " + "and so on " * 1000)
    assert line.startswith("Find x \\x1b[2J\\u202e and so on")
    assert len(line) <= 70
    assert line.isprintable()
    assert len(_one_line("x" * 100_000)) <= 70
