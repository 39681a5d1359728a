"""A judge is asked once for each class and order, and only about what neither text nor computation can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from omr_kedro.answers import Limits, Workers
from omr_kedro.llm.calls import Completion
from omr_kedro.pipelines.judge_answers.nodes import read_opinions, reference_of
from omr_kedro.pipelines.llm_stage import Kept
from omr_kedro.pipelines.sampling import SamplingOptions
from omr_kedro.shards import Row
from omr_kedro.solutions import StopRule
from tests.solutions.key import read_key
from tests.support.cot import JUDGE, Cot, CotModel, boxed, problem
from tests.support.tables import shards_of

SOLVING = SamplingOptions(stop_rule=StopRule(fixed=8), max_failed_share=1)
ANSWERS = ["3, 5", "5, 3", "$3, 5$", "5, 3", "8", "\\{5, 3\\}", "5, 3 ", "3, 5 or 8"]
"""One class is the reference's by its text; nobody can tell without the problem whether the others are."""


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2, Limits(cpu_seconds=10)) as pool:
        yield pool


def same(values: dict[str, str]) -> str:
    """Takes an order for no part of an answer."""
    read = [sorted(values[name].strip("\\{}").split(", ")) for name in ("answer_a", "answer_b")]
    return "same" if read[0] == read[1] else "different"


def pairs(asked: list[dict[str, str]]) -> Counter[tuple[str, str]]:
    return Counter((values["answer_a"], values["answer_b"]) for values in asked)


def test_each_class_is_asked_about_once_in_each_order_and_none_that_needs_no_judge(
    tmp_path: Path, workers: Workers
) -> None:
    with CotModel(lambda _, index: boxed(ANSWERS[index]), same) as model:
        cot = Cot(tmp_path, model.base_url, SOLVING).solve(shards_of([problem("p", "3, 5")])).judge(workers)
        paid = len(model.calls)
        asked = model.asked("judge_answer")
        Cot(tmp_path, model.base_url, SOLVING).solve(shards_of([problem("p", "3, 5")])).judge(workers)
        assert len(model.calls) == paid
    judged = {row["answer"]: row for row in cot.rows("answers")}
    by_judge = [answer for answer, row in judged.items() if row["decided_by"] == "judge"]
    assert "5, 3" in by_judge
    assert judged["3, 5"]["decided_by"] == "equal_text"
    assert pairs(asked) == Counter([*(("3, 5", each) for each in by_judge), *((each, "3, 5") for each in by_judge)])
    assert len(asked) < 2 * len(ANSWERS)
    assert {answer: row["verdict"] for answer, row in judged.items() if row["verdict"] == "correct"} == {
        answer: "correct" for answer in judged if same({"answer_a": "3, 5", "answer_b": answer}) == "same"
    }
    assert {row["judge_model"] for row in judged.values() if row["decided_by"] == "judge"} == {"m"}
    assert sum(row["votes"] for row in judged.values()) == len(ANSWERS)


def test_answers_that_text_and_computation_tell_ask_nobody(tmp_path: Path, workers: Workers) -> None:
    answers = ["1/2", "0.5", "\\frac12", "x = 1/2", "2", "3", "\\sqrt{4}", "1/2"]
    with CotModel(lambda _, index: boxed(answers[index])) as model:
        cot = Cot(tmp_path, model.base_url, SOLVING).solve(shards_of([problem("p", "\\frac{1}{2}")])).judge(workers)
        assert model.asked("judge_answer") == []
    assert {row["answer"]: row["verdict"] for row in cot.rows("answers")} == {
        "1/2": "correct",
        "2": "incorrect",
        "3": "incorrect",
    }
    assert {row["decided_by"] for row in cot.rows("answers")} <= {"equal_text", "symbolic"}


def test_a_changed_prompt_of_the_judge_asks_judges_alone(tmp_path: Path, workers: Workers) -> None:
    problems = shards_of([problem("p", "3, 5"), problem("q")])
    with CotModel(lambda _, index: boxed(ANSWERS[index]), same) as model:
        cot = Cot(tmp_path, model.base_url, SOLVING).solve(problems).judge(workers)
        asked, solved = len(model.asked("judge_answer")), len(model.asked("solve_cot"))
        cot = replace(cot, judge_prompt=replace(JUDGE, system="Take your time."))
        cot.solve(problems).judge(workers)
        assert len(model.asked("solve_cot")) == solved
        assert len(model.asked("judge_answer")) == 2 * asked > 0


def test_a_judge_that_prefers_the_first_answer_leaves_answers_undecided(tmp_path: Path, workers: Workers) -> None:
    with CotModel(
        lambda _, index: boxed(ANSWERS[index]),
        lambda values: "same" if values["answer_a"] == "3, 5" else "different",
    ) as model:
        cot = Cot(tmp_path, model.base_url, SOLVING).solve(shards_of([problem("p", "3, 5")])).judge(workers)
    by_judge = [row for row in cot.rows("answers") if row["decided_by"] == "judge"]
    assert {(row["forward"], row["backward"], row["verdict"]) for row in by_judge} == {
        ("same", "different", "undecided")
    }
    (reference,) = cot.rows("references")
    assert reference["votes_for"] == 2, "those that read as the reference"
    assert {row["reason"] for row in cot.rows("rejected")} <= {"undecided", "incorrect"}


def test_with_a_perfect_judge_no_answer_of_the_hand_checked_key_is_judged_wrongly(
    tmp_path: Path, workers: Workers
) -> None:
    key = read_key()
    labels: dict[tuple[str, ...], str] = {}
    votes: list[Row] = []
    for number, entry in enumerate(key):
        for pair in ((entry.reference, entry.answer), (entry.answer, entry.reference)):
            sent = JUDGE.messages(problem=entry.problem, answer_a=pair[0], answer_b=pair[1])
            seen = JUDGE.match(sent)
            assert seen
            labels[tuple(seen.values())] = "same" if entry.same else "different"
        votes.append(
            {
                "problem_id": str(number),
                "thread_id": str(number),
                "mode": "cot",
                "problem": entry.problem,
                "extracted_answer": entry.reference,
                "majority_answer": entry.answer,
                "votes_total": 1,
                "samples_drawn": 1,
                "stop_reason": "fixed",
                "classes": [{"answer": entry.answer, "votes": 1, "samples": [0]}],
            }
        )
    empty = shards_of([], 2)
    given = {"problems": empty, "samples": empty, "completions": empty, "votes": shards_of(votes)}
    with CotModel(lambda *_: "", lambda values: labels[tuple(values.values())]) as model:
        cot = Cot(tmp_path, model.base_url, SOLVING, tables=given).judge(workers)
        asked = pairs(model.asked("judge_answer"))
    verdicts = {int(row["problem_id"]): row["verdict"] for row in cot.rows("answers")}
    wrong = [
        entry for number, entry in enumerate(key) if verdicts[number] != ("correct" if entry.same else "incorrect")
    ]
    assert wrong == []
    by_judge = [row for row in cot.rows("answers") if row["decided_by"] == "judge"]
    assert asked.total() == 2 * len(by_judge)
    assert 0 < len(by_judge) < len(key)
    assert cot.rows("unjudged") == []


@pytest.mark.parametrize(
    ("extracted", "majority", "stop_reason", "reference"),
    [
        ("5", "7", "suspect_answer", "5"),
        ("5", None, "no_majority", "5"),
        (None, "7", "settled", "7"),
        (None, "7", "fixed", "7"),
        (None, "7", "no_majority", None),
        (None, None, "fixed", None),
    ],
)
def test_samples_are_compared_with_the_extracted_answer_or_else_with_a_settled_majority(
    extracted: str | None, majority: str | None, stop_reason: str, reference: str | None
) -> None:
    votes = {"extracted_answer": extracted, "majority_answer": majority, "stop_reason": stop_reason}
    assert reference_of(votes) == reference


@pytest.mark.parametrize(
    ("replies", "verdict"),
    [
        ({"forward": "same", "backward": "same"}, "correct"),
        ({"forward": "different", "backward": "different"}, "incorrect"),
        ({"forward": "same", "backward": "different"}, "undecided"),
        ({"forward": "same"}, "undecided"),
        ({}, "undecided"),
    ],
)
def test_an_answer_without_two_opinions_that_agree_is_kept_and_undecided(replies: dict[str, str], verdict: str) -> None:
    calls = [{**Completion("k", "j", text, finish_reason="stop").row(), "part": part} for part, text in replies.items()]
    outcome = read_opinions({"answer": "5", "verdict": None, "decided_by": None}, calls)
    assert isinstance(outcome, Kept)
    (row,) = outcome.rows
    assert (row["verdict"], row["decided_by"], row["judge_model"]) == (verdict, "judge", "j" if replies else None)
