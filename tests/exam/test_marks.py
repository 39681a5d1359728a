from __future__ import annotations

import pytest

from omr_kedro.exam import Mark
from omr_kedro.exam.marks import likeness, mark_answer, mark_choice, mark_conversion, mark_statements, mark_summary

STRIP = "Find the number of ways to tile a strip of 7 squares with dominoes."
CIRCLES = "Two circles of radius 3 touch. Find the length of their common tangent."


@pytest.mark.parametrize(
    ("given", "mark"),
    [
        ([STRIP, CIRCLES], Mark.RIGHT),
        ([CIRCLES, STRIP], Mark.RIGHT),
        (["Find the number of ways to tile a strip of $7$ squares by dominoes!", CIRCLES], Mark.RIGHT),
        ([STRIP], Mark.WRONG),
        ([STRIP, CIRCLES, CIRCLES], Mark.WRONG),
        ([STRIP, STRIP], Mark.WRONG),
        ([STRIP.replace("7", "8"), CIRCLES], Mark.WRONG),
        ([], Mark.WRONG),
    ],
)
def test_statements_are_right_if_each_has_its_own_in_any_order(given: list[str], mark: Mark) -> None:
    marked = mark_statements([STRIP, CIRCLES], given, 0.6)
    assert (marked.mark, marked.gold_class) == (mark, "several")


def test_a_post_without_a_problem_gives_none() -> None:
    assert mark_statements([], [], 0.6).mark == Mark.RIGHT
    assert mark_statements([], [STRIP], 0.6).given_class == "one"


def test_likeness_goes_by_tokens_and_their_number() -> None:
    assert likeness(STRIP, STRIP.upper()) == 1
    assert likeness(STRIP, f"{STRIP} {STRIP}") == pytest.approx(0.5, abs=0.05)
    assert likeness(STRIP, CIRCLES) < 0.4


@pytest.mark.parametrize(
    ("gold", "accepted", "given", "mark"),
    [
        ("\\frac12", (), "1/2", Mark.RIGHT),
        ("(a) 3, (b) 5", ("3 and 5",), "3 and 5", Mark.RIGHT),
        ("5", (), "6", Mark.WRONG),
        ("5", (), None, Mark.WRONG),
        (None, (), "5", Mark.WRONG),
        (None, (), None, Mark.RIGHT),
    ],
)
def test_answers_are_right_if_they_equal_one_that_is_accepted(
    gold: str | None, accepted: tuple[str, ...], given: str | None, mark: Mark
) -> None:
    assert mark_answer(gold, accepted, given).mark == mark


@pytest.mark.parametrize(
    ("convertible", "given", "mark"),
    [
        (True, "Find the greatest divisor of $n^3-n$ for all $n$.", Mark.RIGHT),
        (True, None, Mark.WRONG),
        (False, None, Mark.RIGHT),
        (False, "Find n.", Mark.WRONG),
        (True, "Prove that $6$ divides $n^3-n$.", Mark.WRONG),
        (True, "Let $n$ be whole. Show that 6 divides $n^3-n$.", Mark.WRONG),
        (True, "Find the best improvement of the bound.", Mark.RIGHT),
        (True, "Is it true that 6 divides $n^3-n$ for all $n$?", Mark.WRONG),
        (True, "Find the greatest divisor of $n^3-n$ for all $n$, which is $6$.", Mark.WRONG),
        (True, "Find the least $n>60$ that divides $n^3-n$.", Mark.RIGHT),
    ],
)
def test_a_conversion_is_a_question_and_there_only_where_there_can_be_one(
    convertible: bool, given: str | None, mark: Mark
) -> None:
    assert mark_conversion("Prove that $6$ divides $n^3-n$.", convertible, given, "6").mark == mark


def test_a_question_that_states_its_answer_is_wrong_however_it_is_written() -> None:
    proof, told = r"Prove that $\frac34$ exceeds $x-x^2$.", "the maximum of $x-x^2$"
    marks = [
        mark_conversion(proof, True, given, r"\frac{3}{4}")
        for given in (f"Find {told}.", rf"Find {told}, less than $\frac{{3}}{{4}}$.", rf"Find {told} below $\dfrac34$.")
    ]
    assert [mark.reason for mark in marks] == ["", "states its answer", "states its answer"]
    twice = "Let $a=5$. Prove that $f(a)=5$."
    assert mark_conversion(twice, True, "Let $a=5$. Find $f(a)$.", "5").mark == Mark.RIGHT
    assert mark_conversion(twice, True, "Let $a=5$. Find $f(a)$.", None).mark == Mark.RIGHT


def test_a_choice_is_right_if_it_is_one_of_the_right_candidates() -> None:
    assert [mark_choice([0, 2], chosen).mark for chosen in (0, 1, 2)] == [Mark.RIGHT, Mark.WRONG, Mark.RIGHT]
    assert (mark_choice([0, 2], 1).gold, mark_choice([0, 2], 1).given) == ("candidate 1, candidate 3", "candidate 2")
    assert mark_choice([0], None, "cut").reason == "cut"


def test_a_summary_is_right_if_one_was_valid_and_wrong_if_it_states_another_answer() -> None:
    assert mark_summary("5", "5", ["other_answer"]).mark == Mark.RIGHT
    assert mark_summary("5", None, ["cut", "other_answer"]).mark == Mark.WRONG
    assert (mark_summary("5", None, ["cut"]).mark, mark_summary("5", None, ["cut"]).reason) == (Mark.UNPARSED, "cut")
    assert mark_summary("5", None, []).reason == "not_asked"
