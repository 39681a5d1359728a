from __future__ import annotations

import pytest
from hypothesis import given

from omr_kedro.offline_model.rules_classify import is_binary, is_invalid, is_mcq, is_proof
from tests.offline_model.examples import KINDS, kind_of
from tests.offline_model.texts import POSTS


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        ("Prove that $\\sqrt{3}$ is irrational.", "proof"),
        ("Show that, for positive reals $a, b$, we have $a^2 + b^2 \\ge 2ab$.", "proof"),
        ("Demuestre que $n^3 - n$ es divisible por 6.", "proof"),
        ("Prove that it is always possible to find such a number $n$.", "proof"),
        ("Show that $f$ has a maximum and find its value at $x = 2$.", "open"),
        ("What is $2^5$? (A) 16 (B) 32 (C) 64 (D) 128", "mcq"),
        ("Which of these is a prime number?\nA. 51\nB. 53\nC. 57\nD. 91", "mcq"),
        ("Let $f(x) = x^2$. (a) Find $f(1)$. (b) Find $f(2)$. (c) Find $f(3)$.", "open"),
        ("Is $2^{11} - 1$ a prime number?", "binary"),
        ("Does there exist an integer $n$ with $n^2 = 2^{15}$?", "binary"),
        ("Determine whether the series $\\sum 1/n$ converges.", "binary"),
        ("True or false: every prime number is odd.", "binary"),
        ("If $a > b$, is $a^2 > b^2$?", "binary"),
        ("How many integers are there between $\\sqrt{5}$ and $\\sqrt{50}$?", "open"),
        ("Can you find $x$ if $x + 2 = 5$?", "open"),
        ("Find the area of the shaded region in the figure below.", "invalid"),
        ("Using the previous problem, find the sum of the roots.", "invalid"),
        ("Find x.", "invalid"),
        ("What is a prime number?", "invalid"),
        ("Let $x$ be a real number with $x > 3$ and $x < 8$.", "invalid"),
        ("If I roll two dice, what is the probability that the sum is 7?", "open"),
        ("Find all primes $p$ such that $p + 2$ and $p + 4$ are prime.", "open"),
    ],
)
def test_a_problem_is_of_the_kind_that_its_words_say(problem: str, kind: str) -> None:
    assert kind_of(problem) == kind


def test_letters_of_points_are_no_options() -> None:
    assert not is_mcq("Points (A), (B) and (C) lie on a line. Find the ratio $AB : BC$.")


def test_a_question_of_which_a_part_asks_for_a_value_is_not_yes_or_no() -> None:
    assert not is_binary("Is there a largest such $n$? If so, find it.")


def test_a_problem_is_valid_when_in_doubt() -> None:
    assert not is_invalid("A train leaves at noon and travels 120 miles at 60 miles an hour. How long does it take?")


def test_disproving_is_a_matter_of_proof() -> None:
    assert is_proof("Prove or disprove that $n^2 + n + 41$ is prime for all $n \\ge 0$.")


@given(POSTS)
def test_every_text_has_a_label_for_each_question(problem: str) -> None:
    assert all(holds(problem) in (True, False) for holds in KINDS.values())


@pytest.mark.parametrize("bit", ["is ", "(a) ", "what is ", "prove ", "?", "can it "])
def test_long_texts_are_labelled_quickly(bit: str) -> None:
    assert kind_of(bit * (300_000 // len(bit)))
