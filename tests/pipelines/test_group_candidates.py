"""Which samples of a problem are candidates, and where groups come from."""

from __future__ import annotations

import random
from typing import Any

import pytest

from omr_kedro.pipelines.group_candidates.nodes import candidates_of, group_candidates
from omr_kedro.shards import Row
from omr_kedro.solutions.candidate_groups import GroupingRule
from omr_kedro.tables import CANDIDATE_GROUPS, DROPPED, REJECTED_SOLUTIONS, SOLUTIONS, SUMMARIES
from omr_kedro.text import TokenCounter
from tests.support.cot import problem
from tests.support.tables import as_shards, made

RULE = GroupingRule(least_candidates=2, asked_twice=1)
BYTES = TokenCounter(None, "bytes")
SHARDS = ("shard-00000-of-00002", "shard-00001-of-00002")


def solution(name: str, of: str = "p", answer: str = "5") -> Row:
    return dict.fromkeys(SOLUTIONS.names) | {
        "solution_id": name,
        "problem_id": of,
        "thread_id": f"thread of {of}",
        "expected_answer": "5",
        "solution": f"By {name} it is $\\boxed{{{answer}}}$.",
        "predicted_answer": answer,
        "verdict": "correct",
    }


def rejected(name: str, of: str = "p", reason: str = "incorrect", verdict: str = "", **fields: Any) -> Row:
    row = dict.fromkeys(REJECTED_SOLUTIONS.names) | solution(name, of, "7")
    outcome = "dropped" if reason == "incorrect" else "failed"
    return row | {"verdict": verdict or reason, "reason": reason, "outcome": outcome, **fields}


def summary(name: str, text: str, of: str = "p") -> Row:
    return dict.fromkeys(SUMMARIES.names) | {"solution_id": name, "problem_id": of, "summary": text}


def dealt(rows: list[Row], places: dict[str, str]) -> Any:
    """The rows, in the shards of their problems."""
    return as_shards({shard: [row for row in rows if places[row["problem_id"]] == shard] for shard in SHARDS})


def grouped(
    solutions: list[Row], wrong: list[Row], summaries: list[Row] | None = None, places: dict[str, str] | None = None
) -> tuple[list[Row], list[Row]]:
    names = dict.fromkeys(row["problem_id"] for row in [*solutions, *wrong]) or {"p": None}
    places = places or dict.fromkeys(names, SHARDS[0])
    tables = [dealt(rows, places) for rows in (summaries or [], solutions, wrong)]
    recipes = group_candidates(dealt([problem(name) for name in names], places), RULE, BYTES, *tables)
    groups, dropped = (list(made(recipe).rows()) for recipe in recipes)
    assert all(set(row) == set(CANDIDATE_GROUPS.names) for row in groups)
    assert all(set(row) == set(DROPPED.names) for row in dropped)
    return groups, dropped


def test_a_candidate_is_the_summary_of_its_solution_where_there_is_one() -> None:
    groups, _ = grouped([solution("a")], [rejected("b")], [summary("a", "In short $\\boxed{5}$.")])
    assert len(groups) == 2
    texts = {each["solution_id"]: (each["text"], each["answer"], each["correct"]) for each in groups[0]["candidates"]}
    assert texts == {"a": ("In short $\\boxed{5}$.", "5", True), "b": ("By b it is $\\boxed{7}$.", "7", False)}
    assert (groups[0]["expected_answer"], groups[0]["problem"]) == ("5", "p")


@pytest.mark.parametrize(
    "row",
    [
        rejected("x", reason="undecided"),
        rejected("x", reason="no_reference_answer", verdict="undecided"),
        rejected("x", reason="truncated", verdict="undecided"),
        rejected("x", reason="looping", verdict="undecided"),
        rejected("x", reason="no_box", verdict="undecided", predicted_answer=None),
        rejected("x", reason="looping", verdict="incorrect"),
        rejected("x", reason="suspect", verdict="correct"),
    ],
    ids=lambda row: f"{row['reason']}, {row['verdict']}",
)
def test_only_samples_that_are_known_to_be_wrong_are_wrong_candidates(row: Row) -> None:
    assert list(candidates_of([row], {})) == []
    groups, dropped = grouped([solution("a")], [row])
    assert groups == []
    assert [(each["row_id"], each["outcome"], each["reason"]) for each in dropped] == [("p", "dropped", "no_wrong")]
    assert dropped[0]["detail"] == "1 right, 0 wrong"


def test_each_problem_gives_groups_or_a_reason() -> None:
    solutions = [*(solution(f"a{index}", "p") for index in range(3)), solution("b", "q")]
    wrong = [*(rejected(f"c{index}", "p") for index in range(3)), rejected("d", "r")]
    groups, dropped = grouped(solutions, wrong)
    assert {row["problem_id"] for row in groups} == {"p"}
    assert {row["row_id"]: row["reason"] for row in dropped} == {"q": "no_wrong", "r": "no_right"}
    assert len({row["group_id"] for row in groups}) == len(groups) == 2 * len({row["set_id"] for row in groups})
    assert sorted(row["order"] for row in groups) == [0] * (len(groups) // 2) + [1] * (len(groups) // 2)


def test_groups_do_not_depend_on_the_order_of_rows_or_on_shards() -> None:
    names = ["p", "q", "r"]
    solutions = [solution(f"{of}-a{index}", of) for of in names for index in range(4)]
    wrong = [rejected(f"{of}-b{index}", of) for of in names for index in range(5)]
    first, _ = grouped(solutions, wrong, places=dict.fromkeys(names, SHARDS[0]))
    chance = random.Random(2)
    chance.shuffle(solutions)
    chance.shuffle(wrong)
    other, _ = grouped(solutions, wrong, places=dict(zip(names, [*SHARDS, SHARDS[0]], strict=True)))
    assert len(first) > 12
    assert sorted(first, key=lambda row: row["group_id"]) == sorted(other, key=lambda row: row["group_id"])


def test_a_problem_that_breaks_a_reader_costs_itself_alone() -> None:
    broken = rejected("b", "q") | {"solution": 7}
    groups, dropped = grouped([solution("a", "p"), solution("a2", "q")], [rejected("c", "p"), broken])
    assert {row["problem_id"] for row in groups} == {"p"}
    assert [(row["row_id"], row["outcome"], row["reason"]) for row in dropped] == [("q", "failed", "reading_crashed")]
