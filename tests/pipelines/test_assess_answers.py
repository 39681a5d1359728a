"""Answers are assessed, problems are dropped for it, and findings are counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from omr_kedro.answers import Finding, Limits, Workers
from omr_kedro.llm.calls import Example, Prompt
from omr_kedro.pipelines.assess_answers.nodes import (
    AssessmentOptions,
    assess_answers,
    drop_faulty,
    summarise_quality,
)
from omr_kedro.shards import Row, Shards
from omr_kedro.tables import ANSWER_QUALITY
from tests.support.tables import made, rows_made, shards_of

LIMITS = Limits(cpu_seconds=2.0)
PROMPT = Prompt(
    "extract_answers", "{{problem}}", examples=(Example({"problem": "?"}, "Post 1 says so.\nAnswer: $1369$"),)
)


def problem(number: int, statement: str, answer: str | None, thread: int | None = None, place: int = 0) -> Row:
    return {
        "problem_id": f"p{number}",
        "thread_id": f"t{thread or number}",
        "problem": statement,
        "expected_answer": answer,
        "problem_type": "no_answer_extracted" if answer is None else "has_answer_extracted",
        "extracted_problem_idx": place,
    }


def thread(number: int, *posts: str, first: str = "A problem.") -> Row:
    discussion = "\n\n".join(f"Post {place}:\n{post}" for place, post in enumerate(posts, start=1))
    return {"thread_id": f"t{number}", "forum_post": first, "forum_discussions": discussion}


PROBLEMS = [
    problem(1, "How many ways are there?", "21"),
    problem(2, "Find all $x$ with $x^2=2$.", "\\pm\\sqrt2"),
    problem(3, "What is the units digit?", "(B)"),
    problem(4, "Find the least $n$.", "Proof by induction, see post 2"),
    problem(5, "Find the area.", None),
    problem(6, "Find the area.", "\\frac{ab}{2}"),
    problem(7, "Compute it.", "9^{9^{9^{9}}}"),
    problem(8, "Find the first sum.", "3", thread=8),
    problem(9, "Find the second sum.", "4", thread=8, place=1),
]
THREADS = [
    thread(1, "the answer is $45$.", "No: $\\boxed{21}$.", "Right, the answer is 21."),
    thread(2, "$\\boxed{x=\\sqrt2 \\text{ or } x=-\\sqrt2}$"),
    thread(3, "the answer is (B)."),
    thread(4, "hm"),
    thread(5),
    thread(6, "the answer is $\\frac{1}{2}ab$."),
    thread(7, "no idea"),
    thread(8, "the answer is 3.", "the answer is 4.", first="1. Find the first sum.\n2. Find the second sum."),
]


@pytest.fixture(scope="module")
def quality() -> Shards:
    with Workers(1, LIMITS) as workers:
        return made(assess_answers(shards_of(PROBLEMS), shards_of(THREADS), workers, PROMPT))


def by_id(rows: Shards) -> dict[str, Row]:
    return {row["problem_id"]: row for row in rows.rows()}


def test_each_problem_has_one_row_with_the_columns_of_the_table(quality: Shards) -> None:
    assert sorted(by_id(quality)) == [f"p{number}" for number in range(1, 10)]
    assert quality.count == 9
    for row in quality.rows():
        assert set(row) <= set(ANSWER_QUALITY.names)


def test_findings_say_what_is_doubtful(quality: Shards) -> None:
    assert {name: row.get("findings") for name, row in by_id(quality).items()} == {
        "p1": "disputed",
        "p2": "",
        "p3": "non_answer",
        "p4": "non_answer form_clash unparsable",
        "p5": None,
        "p6": "undefined_symbols",
        "p7": "parse_timeout",
        "p8": "",
        "p9": "",
    }


def test_posts_are_counted_by_what_their_answers_are_worth(quality: Shards) -> None:
    rows = by_id(quality)
    assert [rows["p1"][f"{kind}_posts"] for kind in ("agreeing", "disagreeing", "undecided")] == [2, 1, 0]
    assert rows["p2"]["agreeing_posts"] == rows["p6"]["agreeing_posts"] == 1
    # In a thread with two problems the other's answer says nothing.
    assert [rows[name]["agreeing_posts"] for name in ("p8", "p9")] == [1, 1]
    assert [rows[name]["disagreeing_posts"] for name in ("p8", "p9")] == [0, 0]


def test_a_problem_without_an_answer_has_an_empty_row_and_passes(quality: Shards) -> None:
    assert by_id(quality)["p5"].get("answer_form") is None
    kept, _ = drop_faulty(shards_of(PROBLEMS), quality, AssessmentOptions())
    assert PROBLEMS[4] in rows_made(kept)


def test_by_default_only_clear_faults_drop_a_problem(quality: Shards) -> None:
    kept, dropped = drop_faulty(shards_of(PROBLEMS), quality, AssessmentOptions())
    assert {row["row_id"]: (row["outcome"], row["reason"]) for row in rows_made(dropped)} == {
        "p3": ("dropped", "non_answer"),
        "p4": ("dropped", "non_answer"),
    }
    assert len(rows_made(kept)) == len(PROBLEMS) - 2
    assert "(B)" in rows_made(dropped)[0]["detail"] + rows_made(dropped)[1]["detail"]


@pytest.mark.parametrize(
    ("drop", "names"),
    [
        ([], set()),
        (["undefined_symbols"], {"p6"}),
        (["parse_timeout", "disputed"], {"p1", "p7"}),
        (list(Finding), {"p1", "p3", "p4", "p6", "p7"}),
    ],
)
def test_a_parameter_says_which_findings_drop_a_problem(drop: list[str], names: set[str], quality: Shards) -> None:
    options = AssessmentOptions.model_validate({"drop": drop})
    kept, dropped = drop_faulty(shards_of(PROBLEMS), quality, options)
    assert {row["row_id"] for row in rows_made(dropped)} == names
    assert {row["problem_id"] for row in rows_made(kept)} == {row["problem_id"] for row in PROBLEMS} - names


def test_other_findings_to_drop_make_the_tables_anew_but_assess_nothing_again(quality: Shards) -> None:
    def fingerprints(drop: list[Finding]) -> tuple[Any, Any]:
        options = AssessmentOptions(drop=drop)
        assessed = assess_answers(shards_of(PROBLEMS), shards_of(THREADS), Workers(), PROMPT)
        return assessed.fingerprints, drop_faulty(shards_of(PROBLEMS), quality, options)[0].fingerprints

    some, none = fingerprints([Finding.DISPUTED]), fingerprints([])
    assert some[0] == none[0]
    assert some[1] != none[1]


def test_an_answer_that_only_a_worked_example_gave_is_dropped() -> None:
    problems = [problem(number, "What is the least value?", "1369") for number in (1, 2, 3)]
    threads = [thread(1, "it is 13"), thread(2, "so $1369$."), thread(3, "yes", first="Is it 1369, the least value?")]
    with Workers(1, LIMITS) as workers:
        quality = made(assess_answers(shards_of(problems), shards_of(threads), workers, PROMPT))
    assert {name: row["findings"] for name, row in by_id(quality).items()} == {
        "p1": "copied_example",
        "p2": "",
        "p3": "",
    }
    _, dropped = drop_faulty(shards_of(problems), quality, AssessmentOptions())
    assert [(row["row_id"], row["reason"]) for row in rows_made(dropped)] == [("p1", "copied_example")]


def test_other_worked_examples_make_the_findings_anew() -> None:
    def fingerprints(prompt: Prompt) -> Any:
        return assess_answers(shards_of(PROBLEMS), shards_of(THREADS), Workers(1), prompt).fingerprints

    assert fingerprints(PROMPT) != fingerprints(Prompt("extract_answers", "{{problem}}"))
    assert fingerprints(PROMPT) == fingerprints(replace(PROMPT, user="Please: {{problem}}"))


def test_an_unknown_finding_is_refused() -> None:
    with pytest.raises(ValidationError, match="drop"):
        AssessmentOptions.model_validate({"drop": ["ugly"]})


def test_the_summary_counts_findings_by_type_of_problem(quality: Shards) -> None:
    summary = {(row.problem_type, row.finding): row.problems for row in summarise_quality(quality).itertuples()}
    assert summary["no_answer_extracted", "no_answer"] == 1
    assert summary["has_answer_extracted", "answered"] == 8
    assert summary["has_answer_extracted", "clean"] == 3
    assert summary["has_answer_extracted", "agreed"] == 6
    assert summary["has_answer_extracted", "non_answer"] == 2
    assert ("has_answer_extracted", "outvoted") not in summary


def test_limits_decide_what_is_found_and_the_number_of_workers_does_not() -> None:
    def fingerprints(workers: Workers) -> Any:
        return assess_answers(shards_of(PROBLEMS), shards_of(THREADS), workers, PROMPT).fingerprints

    assert fingerprints(Workers(1)) == fingerprints(Workers(7))
    assert fingerprints(Workers(1, Limits(cpu_seconds=1))) != fingerprints(Workers(1, Limits(cpu_seconds=2)))
    assert fingerprints(Workers(1, Limits(memory_mb=300))) != fingerprints(Workers(1, Limits(memory_mb=400)))


def test_making_nothing_starts_no_worker() -> None:
    workers = Workers(1, LIMITS)
    empty = assess_answers(shards_of([problem(1, "Find it.", None)]), shards_of([thread(1)]), workers, PROMPT)
    assert [row["problem_id"] for row in rows_made(empty)] == ["p1"]
    assert workers.idle == []
