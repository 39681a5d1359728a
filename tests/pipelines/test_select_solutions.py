"""A comparison's outcome follows from the candidate that it chooses, wherever that one stands."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.llm.calls import Completion, Prompt
from omr_kedro.llm.calls.request import CallIdentity
from omr_kedro.pipelines.select_solutions.nodes import (
    SelectionOptions,
    ask_select_solutions,
    decide_selection,
    list_selections,
    read_select_solutions,
    report_positions,
    selection_of,
)
from omr_kedro.shards import Row
from omr_kedro.tables import CANDIDATE_GROUPS, DROPPED, SELECTIONS
from omr_kedro.text.candidates import shown_candidates
from tests.support.chat_server import ChatServer, completion
from tests.support.cot import Cot
from tests.support.tables import shards_of
from tests.text.test_candidates import HOSTILE

SELECT = Prompt("select_solution", "<problem>{{problem}}</problem><candidates>\n{{candidates}}\n</candidates>")
OPTIONS = SelectionOptions(max_failed_share=1)
Judge = Callable[[dict[int, str]], str | web.Response]


def candidate(name: str, correct: bool, text: str = "") -> Row:
    answer = "5" if correct else "7"
    return {
        "solution_id": name,
        "text": text or f"{name}: $\\boxed{{{answer}}}$.",
        "answer": answer,
        "correct": correct,
    }


def group(name: str, candidates: list[Row], order: int = 0) -> Row:
    return {
        "group_id": name,
        "set_id": f"set of {name.split(maxsplit=1)[0]}",
        "problem_id": f"problem of {name.split(maxsplit=1)[0]}",
        "thread_id": f"thread of {name.split(maxsplit=1)[0]}",
        "problem": "Find x.",
        "expected_answer": "5",
        "candidates": candidates,
        "order": order,
    }


def call(text: str, **fields: Any) -> Row:
    given = {"finish_reason": "stop", **fields}
    return Completion("key", "m", text, **given).row(CallIdentity("g", "", 0, 0, SELECT.hash))


def played(tmp_path: Path, groups: list[Row], reply: Judge) -> Cot:
    """The tables of a judge who is given the candidates that are shown."""

    def says(body: dict[str, Any]) -> str | web.Response:
        return reply(shown_candidates(str(body["messages"][-1]["content"])))

    with ChatServer(says) as server:
        cot = Cot(tmp_path, server.base_url, tables={"groups": shards_of(groups)})
        calls = cot.call(ask_select_solutions(cot.tables["groups"], SELECT, cot.model, OPTIONS))
    cot.put(SELECTIONS, selections=list_selections(cot.tables["groups"], calls))
    right, rest = read_select_solutions(cot.tables["groups"], cot.tables["selections"], OPTIONS)
    cot.put(SELECTIONS, right=right)
    cot.put(DROPPED, rest=rest)
    return cot


def solution_with(shown: dict[int, str], answer: str) -> int:
    return next(number for number, text in shown.items() if f"{{{answer}}}" in text)


def test_every_comparison_is_a_selection_and_only_right_ones_go_on(tmp_path: Path) -> None:
    both = [candidate("a", correct=True), candidate("b", correct=False)]
    groups = [group(name, both) for name in ("right", "wrong", "unclear", "cut", "refused")]
    for row, one in zip(groups, "rwucx", strict=True):
        row["candidates"] = [{**each, "text": f"{one} {each['text']}"} for each in both]

    def reply(shown: dict[int, str]) -> str | web.Response:
        kind = shown[1][0]
        said = {"r": "Judgment: 1", "w": "Judgment: 2", "u": "Judgment: 3", "c": "Judgment: 1"}
        return web.Response(status=400) if kind == "x" else completion(said[kind], "length" if kind == "c" else "stop")

    cot = played(tmp_path, groups, reply)
    selections = {row["group_id"]: (row["outcome"], row["chosen_solution_id"]) for row in cot.rows("selections")}
    assert selections == {
        "right": ("right", "a"),
        "wrong": ("wrong", "b"),
        "unclear": ("unclear", None),
        "cut": ("unclear", None),
        "refused": ("unclear", None),
    }
    assert [row["group_id"] for row in cot.rows("right")] == ["right"]
    dropped = {row["row_id"]: (row["outcome"], row["reason"], row["detail"]) for row in cot.rows("rest")}
    assert dropped == {
        "wrong": ("dropped", "wrong", "it chooses 2 of 2"),
        "unclear": ("failed", "unclear", "out_of_range: it chooses 3 of 2"),
        "cut": ("failed", "unclear", "cut"),
        "refused": ("failed", "unclear", "bad_request"),
    }


@given(st.permutations(range(6)), st.integers(0, 5), st.sets(st.integers(0, 5), min_size=1, max_size=3))
def test_with_the_candidates_in_another_order_labels_and_choices_point_to_the_same_solutions(
    order: list[int], wanted: int, right: set[int]
) -> None:
    candidates = [candidate(f"s{index}", correct=index in right, text=f"way {index}") for index in range(6)]
    (asked,) = _asked(group("g", [candidates[index] for index in order]))
    number = next(number for number, text in shown_candidates(asked).items() if text == f"way {wanted}")
    row = selection_of(group("g", [candidates[index] for index in order]), call(f"Judgment: {number}"))
    assert row["chosen_solution_id"] == f"s{wanted}"
    assert row["outcome"] == ("right" if wanted in right else "wrong")
    assert {each["solution_id"] for each in row["candidates"] if each["correct"]} == {f"s{index}" for index in right}


@given(st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=6), st.data())
def test_hostile_candidates_change_no_number(texts: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(texts)))
    candidates = [candidate(f"h{number}", correct=False, text=text or "x") for number, text in enumerate(texts)]
    candidates.insert(place, candidate("right", correct=True, text="the right one"))
    (asked,) = _asked(group("g", candidates))
    shown = shown_candidates(asked)
    assert list(shown) == list(range(1, len(candidates) + 1))
    assert shown[place + 1] == "the right one"
    assert len(re.findall("</candidates>", asked)) == 1


def test_a_judge_that_always_says_one_is_shown_by_the_report_of_positions(tmp_path: Path) -> None:
    both = [candidate("a", correct=True), candidate("b", correct=False)]
    groups = [group(f"g{number} {order}", both[:: 1 - 2 * order], order) for number in range(12) for order in (0, 1)]
    judges: dict[str, Judge] = {
        "always": lambda shown: "Judgment: 1",
        "fair": lambda shown: f"Judgment: {solution_with(shown, '5')}",
    }
    always, fair = (
        {row["position"]: row for row in report_positions(cot.tables["selections"]).to_dict("records")}
        for cot in (played(tmp_path / name, groups, judge) for name, judge in judges.items())
    )
    assert always["1"] == {
        "position": "1",
        "shown": 24,
        "right": 12,
        "chosen": 24,
        "by_chance": 12,
        "chosen_right": 12,
        "asked_twice": 12,
        "agreed": 0,
    }
    assert always["2"]["chosen"] == always["all"]["agreed"] == 0
    assert [row["chosen_right"] for row in fair.values()] == [row["right"] for row in fair.values()] == [12, 12, 24]
    assert (fair["all"]["asked_twice"], fair["all"]["agreed"]) == (12, 12)


def test_without_a_comparison_the_report_has_the_row_of_all() -> None:
    frame = report_positions(shards_of([]))
    assert frame.to_dict("records") == [{"position": "all", **dict.fromkeys(frame.columns[1:], 0)}]


def test_a_group_that_was_not_asked_about_has_failed() -> None:
    outcome = decide_selection(group("g", []), [])
    assert getattr(outcome, "reason", "") == "not_asked"


def test_the_columns_of_a_group_are_those_of_its_table() -> None:
    assert list(group("g", [])) == CANDIDATE_GROUPS.names


def _asked(row: Row) -> list[str]:
    plan = ask_select_solutions(shards_of([row], 1), SELECT, Cot(Path(), "http://127.0.0.1/v1").model, OPTIONS)
    asked: list[Any] = [one for shard in plan.fingerprints for one in plan.asks(shard)]
    return [str(one.messages[-1]["content"]) for one in asked]
