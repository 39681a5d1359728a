"""The gold rows for judges, summaries and choices agree with the project's own way to read and compare answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from omr_kedro.answers import Limits, Verdict, Workers, grade
from omr_kedro.llm.calls import Completion
from omr_kedro.solutions import equal_answers
from omr_kedro.solutions.answer_classes import equal_both_ways
from omr_kedro.solutions.judging import MAX_CHARS, Correctness, Judgement, judge_without_model
from omr_kedro.solutions.summaries import answer_stated, read_summary
from omr_kedro.text import normal_form
from omr_kedro.text.boxes import final_box, find_boxes
from omr_kedro.text.final_answer import short_form

Row = dict[str, Any]
EXAM = Path(__file__).parents[2] / "data/01_raw/exam"
REASONING_WORDS = (300, 900)
"""Words of a reasoning that is worth a summary, at least and at most."""


def read_rows(stage: str) -> list[Row]:
    return [orjson.loads(line) for line in (EXAM / f"{stage}.jsonl").read_bytes().splitlines()]


PAIRS = read_rows("decontaminate")
ANSWERS = read_rows("judge_answers")
SOLUTIONS = read_rows("summarise_solutions")
CHOICES = read_rows("select_solutions")


class Candidate(NamedTuple):
    """A candidate of a row of choices."""

    id: str
    place: int
    answer: str
    expected: str
    right: bool


def candidates() -> list[Candidate]:
    return [
        Candidate(row["id"], place, short_form(final_box(text) or ""), row["expected_answer"], place in row["right"])
        for row in CHOICES
        for place, text in enumerate(row["candidates"])
    ]


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2, Limits(cpu_seconds=10)) as pool:
        yield pool


@pytest.fixture(scope="module")
def by_rules(workers: Workers) -> list[tuple[Row, Judgement | None]]:
    judgements = judge_without_model([(row["reference_answer"], row["answer"]) for row in ANSWERS], workers)
    return list(zip(ANSWERS, judgements, strict=True))


@pytest.mark.parametrize(("rows", "least"), [(PAIRS, 150), (ANSWERS, 80)], ids=["decontaminate", "judge_answers"])
def test_yes_and_no_are_balanced(rows: list[Row], least: int) -> None:
    counts = Counter(row["same"] for row in rows)
    assert len(rows) >= least
    assert 0.45 <= counts[True] / len(rows) <= 0.55


def test_no_trap_gives_its_label_away_for_all_rows_of_a_label() -> None:
    for rows in (PAIRS, ANSWERS):
        for label in (True, False):
            traps = Counter(row["trap"] for row in rows if row["same"] is label)
            assert len(traps) >= 8
            assert max(traps.values()) <= sum(traps.values()) / 3


def test_a_pair_of_problems_is_left_for_the_judge_to_decide() -> None:
    """Equal statements never reach a judge, but for their dress: few rows are such, and those are `same`."""
    equal = [row for row in PAIRS if normal_form(row["problem"]) == normal_form(row["benchmark_problem"])]
    assert all(row["same"] for row in equal)
    assert len(equal) <= 5


def test_what_rules_decide_about_answers_is_gold(by_rules: list[tuple[Row, Judgement | None]]) -> None:
    decided = [(row, judgement) for row, judgement in by_rules if judgement]
    print(f"\ndecided without a judge: {len(decided)} of {len(by_rules)}")
    wrong = [
        (row["id"], judgement)
        for row, judgement in decided
        if judgement.verdict is not (Correctness.CORRECT if row["same"] else Correctness.INCORRECT)
    ]
    assert not wrong


def test_rules_leave_answers_of_both_labels_to_a_judge(by_rules: list[tuple[Row, Judgement | None]]) -> None:
    left = Counter(row["same"] for row, judgement in by_rules if judgement is None)
    assert min(left[True], left[False]) >= 10


def test_answers_are_short_enough_for_a_judge() -> None:
    assert max(len(row[key]) for row in ANSWERS for key in ("reference_answer", "answer")) <= MAX_CHARS


def test_right_candidates_state_the_expected_answer_and_others_another_one(workers: Workers) -> None:
    every = candidates()
    for pairs in ([(c.expected, c.answer) for c in every], [(c.answer, c.expected) for c in every]):
        verdicts = zip(every, grade(pairs, workers), strict=True)
        wanted = {True: Verdict.EQUAL, False: Verdict.UNEQUAL}
        assert not [(c, verdict) for c, verdict in verdicts if verdict is not wanted[c.right]]


def test_at_most_half_of_the_candidates_are_right_and_one_is() -> None:
    assert len(CHOICES) >= 60
    for row in CHOICES:
        right = row["right"]
        assert right == sorted(set(right))
        assert 2 <= len(row["candidates"]) <= 8
        assert 1 <= len(right) <= len(row["candidates"]) / 2
        assert right[-1] < len(row["candidates"])


def test_every_candidate_is_another_text_with_one_box() -> None:
    for row in CHOICES:
        assert len(set(row["candidates"])) == len(row["candidates"])
        assert [len(find_boxes(text)) for text in row["candidates"]] == [1] * len(row["candidates"])


def first(row: Row) -> int:
    return 0


def last(row: Row) -> int:
    return len(row["candidates"]) - 1


def longest(row: Row) -> int:
    return max(range(len(row["candidates"])), key=lambda place: len(row["candidates"][place]))


def shortest(row: Row) -> int:
    return min(range(len(row["candidates"])), key=lambda place: len(row["candidates"][place]))


def most_common(row: Row) -> int:
    """The answer that most candidates state in the same characters."""
    answers = [short_form(final_box(text) or "") for text in row["candidates"]]
    return answers.index(Counter(answers).most_common(1)[0][0])


@pytest.mark.parametrize("choose", [first, last, longest, shortest, most_common])
def test_no_choice_without_mathematics_passes(choose: Callable[[Row], int]) -> None:
    assert sum(choose(row) in row["right"] for row in CHOICES) <= 0.6 * len(CHOICES)


@pytest.mark.parametrize("row", SOLUTIONS, ids=[row["id"] for row in SOLUTIONS])
def test_a_solution_ends_with_its_predicted_answer(row: Row) -> None:
    assert short_form(final_box(row["solution"]) or "") == row["predicted_answer"]
    least, most = REASONING_WORDS
    assert least <= len(row["reasoning"].split()) <= most


def test_solutions_to_summarise_have_answers_that_must_not_be_mended() -> None:
    traps = Counter(row["trap"] for row in SOLUTIONS)
    assert len(SOLUTIONS) >= 60
    assert 10 <= traps["wrong-answer"] <= len(SOLUTIONS) / 3


def test_the_solution_itself_counts_as_a_faithful_summary_and_another_answer_does_not() -> None:
    def flaw(row: Row, text: str) -> str | None:
        completion = Completion("key", "summarise_solutions", text, finish_reason="stop", error_kind=None)

        def same(answer: str) -> bool:
            return equal_both_ways(row["predicted_answer"], answer, equal_answers)

        return read_summary(completion, partial(answer_stated, same_answer=same), len).flaw

    assert [flaw(row, row["solution"]) for row in SOLUTIONS] == [None] * len(SOLUTIONS)
    others = [*SOLUTIONS[1:], SOLUTIONS[0]]
    swapped = [
        (row["id"], other["id"])
        for row, other in zip(SOLUTIONS, others, strict=True)
        if flaw(row, other["solution"]) is None and row["predicted_answer"] != other["predicted_answer"]
    ]
    assert not swapped
