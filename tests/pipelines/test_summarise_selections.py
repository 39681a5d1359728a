"""A summary stands for its comparison only if it makes the same choice."""

from __future__ import annotations

from pathlib import Path

import pytest

from omr_kedro.llm.calls import Prompt
from omr_kedro.pipelines.select_solutions.nodes import selection_of
from omr_kedro.pipelines.summarise_selections.nodes import (
    SelectionSummaryOptions,
    ask_summarise_selections,
    list_selection_summaries,
    read_summarise_selections,
)
from omr_kedro.tables import DROPPED, SELECTION_SUMMARIES
from tests.pipelines.test_select_solutions import call, candidate, group
from tests.support.chat_server import ChatServer
from tests.support.cot import Cot
from tests.support.tables import shards_of

SUMMARISE = Prompt(
    "summarise_selection", "<candidates>\n{{candidates}}\n</candidates>\n<comparison>{{comparison}}</comparison>"
)
LONG = "I compare. " * 10


@pytest.mark.parametrize(
    ("drawn", "kept"),
    [
        (["In short.\n\nJudgment: 2", "In short, and longer.\n\nJudgment: 2"], 1),
        (["In short.\n\nJudgment: 1", "In short.\n\nJudgment: 2", "No choice."], 1),
        (["Judgment: 1"] * 4, None),
        (["No choice."] * 4, None),
    ],
)
def test_a_summary_that_makes_another_choice_is_refused(tmp_path: Path, drawn: list[str], kept: int | None) -> None:
    options = SelectionSummaryOptions(longer_than=50, max_failed_share=1)
    row = group("g", [candidate("a", correct=False), candidate("b", correct=True)])
    selections = shards_of([selection_of(row, call(f"{LONG}\n\nJudgment: 2"))], 1)
    with ChatServer(lambda body: drawn[body["seed"]]) as server:
        cot = Cot(tmp_path, server.base_url)
        calls = cot.call(ask_summarise_selections(selections, SUMMARISE, cot.model, options))
    assert calls.count == len(drawn)
    cot.put(SELECTION_SUMMARIES, candidates=list_selection_summaries(selections, calls, options))
    summaries, rest = read_summarise_selections(selections, cot.tables["candidates"], options)
    cot.put(SELECTION_SUMMARIES, summaries=summaries)
    cot.put(DROPPED, rest=rest)
    flaws = {"2": None, "1": "other_choice", ".": "no_choice"}
    assert [each["flaw"] for each in cot.rows("candidates")] == [flaws[text[-1]] for text in drawn]
    assert [(each["summary"], each["summary_choice"]) for each in cot.rows("summaries")] == (
        [] if kept is None else [(drawn[kept], 1)]
    )
    assert [each["reason"] for each in cot.rows("rest")] == ([] if kept is not None else ["no_valid_summary"])


def test_a_short_comparison_is_its_own_summary(tmp_path: Path) -> None:
    options = SelectionSummaryOptions(longer_than=5000)
    row = group("g", [candidate("a", correct=True), candidate("b", correct=False)])
    selections = shards_of([selection_of(row, call(f"{LONG}\n\nJudgment: 1"))], 1)
    cot = Cot(tmp_path, "http://127.0.0.1/v1")
    plan = ask_summarise_selections(selections, SUMMARISE, cot.model, options)
    assert [asked for shard in plan.fingerprints for asked in plan.asks(shard)] == []
    cot.put(DROPPED, rest=read_summarise_selections(selections, shards_of([], 1), options)[1])
    assert [each["reason"] for each in cot.rows("rest")] == ["short_enough"]
