from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.answers import surely_equal
from omr_kedro.solutions import AnswerClass, answer_classes, equal_answers
from omr_kedro.solutions.answer_classes import equal_both_ways
from tests.answers.key import read_key
from tests.answers.test_grading_workers import HARD
from tests.support.hostile_texts import shapes

KEY = read_key()


def classes(*answers: str) -> list[tuple[int, ...]]:
    """Indices of equal answers."""
    return [each.samples for each in answer_classes(list(enumerate(answers)), equal_answers)]


def test_one_number_in_many_dresses_is_one_class_by_its_first_answer() -> None:
    answers = ["1/2", "0.5", "\\frac12", "x = 1/2", "\\dfrac{1}{2}", "$.5$", "50\\%", "2^{-1}"]
    assert answer_classes(list(enumerate(answers)), equal_answers) == [AnswerClass("1/2", tuple(range(8)))]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        # https://github.com/huggingface/Math-Verify/issues/14
        ("1/2004!", "1/2006!"),
        ("\\frac{1}{2004!}", "\\frac{1}{2006!}"),
        ("{2,3,4}", "{1,2,3}"),
        ("\\{2,3,4\\}", "\\{1,2,3\\}"),
        ("\\pm 2021", "2021"),
        ("±2021", "2021"),
        ("12:00", "1:00"),
        ("12\\!:\\!00", "1\\!:\\!00"),
        # one answer of each kind beside another kind
        ("(1,2)", "\\{1,2\\}"),
        ("[1,2]", "\\{1,2\\}"),
        ("x=1/2", "y=1/2"),
        ("5\\text{ cm}", "5\\text{ m}"),
        ("2", "\\text{two primes}"),
        ("0.33", "1/3"),
        ("x=y", "x<y"),
        ("7", "\\{7,8\\}"),
        # equal by their usual meaning, and a problem may ask for one of them
        ("3, 5", "5, 3"),
        ("2:3", "\\frac{2}{3}"),
        ("101_2", "5"),
    ],
)
def test_answers_that_differ_are_two_classes_whichever_comes_first(left: str, right: str) -> None:
    assert classes(left, right) == classes(right, left) == [(0,), (1,)]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        # equal one way only to math-verify: https://github.com/huggingface/Math-Verify/issues/10 and 25
        ("m \\geq \\sqrt{2}", "m \\in [\\sqrt{2}, +\\infty)"),
        ("1<x<2", "(1,2)"),
        ("x=1", "1"),
        ("\\{1\\}", "1"),
        ("1,2", "\\{1,2\\}"),
        ("\\{1,2\\}", "\\{2,1\\}"),
        ("2:3", "$2 : 3$"),
        ("0.333333", "1/3"),
        ("1/2004!", "\\frac{1}{2004!}"),
    ],
)
def test_equal_answers_are_one_class_whichever_comes_first(left: str, right: str) -> None:
    assert classes(left, right) == classes(right, left) == [(0, 1)]


def test_no_pair_of_the_hand_checked_key_is_equal_wrongly_and_nine_of_ten_are_found_that_no_problem_tells_apart() -> (
    None
):
    found = [entry for entry in KEY if equal_both_ways(entry.gold, entry.answer, equal_answers)]
    assert [entry for entry in found if not entry.equal] == []
    told_apart = [entry for entry in KEY if entry.equal and not surely_equal(entry.gold, entry.answer)]
    assert len(found) >= 0.9 * (sum(entry.equal for entry in KEY) - len(told_apart))


def test_the_key_is_told_the_same_both_ways() -> None:
    assert [
        entry for entry in KEY if equal_answers(entry.gold, entry.answer) is not equal_answers(entry.answer, entry.gold)
    ] == []


def test_an_answer_that_equals_two_others_joins_the_first_and_does_not_merge_them() -> None:
    assert classes("50", "50\\%", "0.5") == [(0, 1), (2,)]
    assert classes("0.5", "50\\%", "50", "0.5") == [(0, 1, 3), (2,)]


def near(left: str, right: str) -> bool:
    """A comparator with chains: 1 equals 2, and 2 equals 3, but 1 does not equal 3."""
    return abs(int(left) - int(right)) <= 1


def test_a_chain_merges_no_two_classes() -> None:
    chain = [str(number) for number in range(100)]
    found = answer_classes(list(enumerate(chain)), near)
    assert [each.answer for each in found] == [str(number) for number in range(0, 100, 2)]
    assert all(each.votes == 2 for each in found)


@given(st.permutations(["1"] * 5 + ["2"] * 2 + ["3"] * 6))
def test_however_a_chain_is_drawn_members_equal_their_first_and_its_ends_stay_apart(answers: list[str]) -> None:
    for each in answer_classes(list(enumerate(answers)), near):
        assert all(near(each.answer, answers[index]) for index in each.samples)
        assert answers[each.samples[0]] == each.answer
    ends_apart = {answers[each.samples[0]] for each in answer_classes(list(enumerate(answers)), near)}
    assert ends_apart in ({"1", "3"}, {"2"})


def test_what_is_equal_one_way_only_is_not_equal() -> None:
    assert not equal_both_ways("1", "2", lambda left, right: left <= right)
    found = answer_classes([(0, "1"), (1, "2"), (2, "1")], lambda left, right: left <= right)
    assert [each.samples for each in found] == [(0, 2), (1,)]


def test_classes_follow_from_the_indices_and_not_from_the_order_of_arrival() -> None:
    answers = [(0, "1"), (1, "2"), (2, "3"), (3, "4")]
    assert len({tuple(answer_classes(order, near)) for order in permutations(answers)}) == 1


@given(st.lists(st.integers(0, 9).map(str), max_size=20), st.integers(0, 20))
def test_later_samples_never_change_the_classes_of_earlier_ones(answers: list[str], first: int) -> None:
    numbered = list(enumerate(answers))
    full = answer_classes(numbered, near)
    cut = [(each.answer, tuple(index for index in each.samples if index < first)) for each in full]
    early = answer_classes(numbered[:first], near)
    assert [(each.answer, each.samples) for each in early] == [pair for pair in cut if pair[1]]


def test_each_two_texts_are_compared_once() -> None:
    asked = []

    def counted(left: str, right: str) -> bool:
        asked.append((left, right))
        return False

    answer_classes(list(enumerate(["1", "2", "3"] * 10)), counted)
    assert sorted(asked) == [("1", "2"), ("1", "3"), ("2", "3")]


def test_two_samples_of_one_index_are_refused() -> None:
    with pytest.raises(ValueError, match="same index"):
        answer_classes([(1, "5"), (1, "5")], equal_answers)


def calls_of(work: Callable[[], Any]) -> int:
    """Calls of functions, also of those written in C: a measure of work that no clock has a part in."""
    calls = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


MOST_CALLS = 500_000


@pytest.mark.parametrize("text", [*HARD.values(), "2^{2^{2^{2^{2^{2}}}}}", "10^{1000000}!", "9" * 1900 + "!"])
def test_huge_numbers_cost_little_and_differ(text: str) -> None:
    assert calls_of(lambda: classes(text, text + "+1", "5")) < MOST_CALLS
    assert classes(text, text, text + "+1", "5") == [(0, 1), (2,), (3,)]


@pytest.mark.parametrize("chars", [2_000, 100_000])
def test_texts_of_any_shape_and_length_cost_a_bounded_number_of_steps(chars: int) -> None:
    costs = {
        name: calls_of(lambda make=make: equal_answers(make(chars), make(chars) + "1"))  # type: ignore[misc]
        for name, make in shapes().items()
    }
    assert {name: cost for name, cost in costs.items() if cost > MOST_CALLS} == {}
    assert max(costs.values()) > 0
