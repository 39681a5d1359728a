from __future__ import annotations

import pytest
from hypothesis import given

from omr_kedro.offline_model.rules_judge import same_answer, same_problem
from tests.offline_model.texts import POSTS

OURS = "How many positive three-digit integers are divisible by 7 but not by 5?"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (OURS, OURS.upper()),
        (OURS, "How many three-digit positive integers are divisible by $7$ but not divisible by $5$?"),
        ("Find the largest value of $\\frac12 x - x^2$.", "Determine the greatest value of $\\dfrac12 x - x^2$."),
        ("Compute $3 \\cdot 4 + 5$.", "What is the value of $3 \\times 4 + 5$?"),
        (
            "Five coins are tossed. Find the probability of 2 heads.",
            "Find the probability of two heads if 5 coins are tossed.",
        ),
    ],
)
def test_reworded_statements_are_one_problem(ours: str, theirs: str) -> None:
    assert same_problem(ours, theirs)
    assert same_problem(theirs, ours)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (OURS, OURS.replace("7", "9")),
        ("Solve $x^2 - 5x + 6 = 0$.", "Solve $x^2 + 5x + 6 = 0$."),
        ("Solve $x + 3 = 0$ for $x$.", "Solve $x - 3 = 0$ for $x$."),
        ("Find the sum of the roots of $x^2 = 3x + 1$.", "Find the product of the roots of $x^2 = 3x + 1$."),
        ("Find the largest root of $x^3 = 7x + 6$.", "Find the smallest root of $x^3 = 7x + 6$."),
        ("Find the area of a circle.", "In how many ways can one choose a committee?"),
        ("", ""),
    ],
)
def test_other_numbers_signs_or_opposite_words_make_another_problem(ours: str, theirs: str) -> None:
    assert not same_problem(ours, theirs)


@given(POSTS, POSTS)
def test_the_order_of_two_statements_makes_no_difference(ours: str, theirs: str) -> None:
    assert same_problem(ours, theirs) == same_problem(theirs, ours)


@pytest.mark.parametrize(("first", "second"), [("351", "$351$"), ("0.5", "\\frac12"), ("3, 5", "5, 3")])
def test_answers_that_the_project_calls_equal_are_the_same(first: str, second: str) -> None:
    assert same_answer(first, second)
    assert same_answer(second, first)


@pytest.mark.parametrize(("first", "second"), [("351", "687"), ("5", "(5, 6)"), ("35", "351"), ("", "5")])
def test_other_answers_are_different(first: str, second: str) -> None:
    assert not same_answer(first, second)
    assert not same_answer(second, first)


def test_words_about_an_answer_are_read_kindly_where_they_come_second() -> None:
    assert same_answer("351", "\\text{about } 351")
    assert not same_answer("\\text{about } 351", "351")


@given(POSTS, POSTS)
def test_any_two_answers_are_compared(first: str, second: str) -> None:
    assert same_answer(first, second) in (True, False)
