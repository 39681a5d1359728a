from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.offline_model.rules_extract import NOTHING, extract, problems_in
from omr_kedro.text import parse_problems
from tests.offline_model.texts import POSTS


def test_a_numbered_list_is_split_and_lettered_parts_stay_together() -> None:
    post = "1. Find $x$ if $2x = 6$.\n2) Let $f(t) = t^2$.\n(a) Find $f(3)$.\n(b) Solve $f(t) = 4$."
    assert problems_in(post) == [
        "Find $x$ if $2x = 6$.",
        "Let $f(t) = t^2$.\n(a) Find $f(3)$.\n(b) Solve $f(t) = 4$.",
    ]


def test_an_order_before_the_list_is_given_to_items_without_one() -> None:
    post = "Solve the following equations:\n1) $x^2 = 4$\n2) $x^3 = 8$"
    assert problems_in(post) == [
        "Solve the following equations:\n$x^2 = 4$",
        "Solve the following equations:\n$x^3 = 8$",
    ]


def test_greetings_thanks_and_attempts_are_left_out() -> None:
    post = "Hi all, find all primes $p$ with $p^2 + 2$ prime. I tried mod 3. Any hints? Thanks!"
    assert problems_in(post) == ["Find all primes $p$ with $p^2 + 2$ prime."]


def test_a_solution_in_the_post_is_left_out() -> None:
    post = "Compute $1 + 2 + ... + 50$.\n\n[b]Solution[/b]\nPair the terms to find $25 * 51$."
    assert problems_in(post) == ["Compute $1 + 2 + ... + 50$."]


def test_quotations_and_spoilers_are_left_out_and_markup_is_taken_off() -> None:
    post = "[quote=a]Find $y$ if $y = 1$.[/quote][color=red][b]Find[/b] $x$ if $x = 2$.[/color][hide]2[/hide]"
    assert problems_in(post) == ["Find $x$ if $x = 2$."]


def test_pictures_become_marks_and_html_scripts_become_latex() -> None:
    post = "Find x in the figure [img]http://a.example/b.png[/img] if x<sup>2</sup> = y<sub>1</sub>."
    assert problems_in(post) == ["Find x in the figure [figure] if x^{2} = y_{1}."]


@pytest.mark.parametrize(
    "post",
    [
        "Demostrar que $n^2 + n$ es par.",
        "Trouver tous les entiers $n$ tels que $n^2 = 49$.",
        "Zeige, dass $\\sqrt{2}$ irrational ist.",
        "Bestimme alle Primzahlen p mit p + 2 = 7.",
    ],
)
def test_tasks_in_other_languages_are_recognised(post: str) -> None:
    assert problems_in(post) == [post]


@pytest.mark.parametrize(
    "post",
    [
        "",
        "Does anyone know when the results come out?",
        "Hello, I am new here. Nice forum!",
        "Which book should I read first? Thanks :)",
        "[quote]Find $x$ if $x = 1$.[/quote] I agree.",
    ],
)
def test_a_post_without_mathematics_holds_no_problem(post: str) -> None:
    assert extract(post) == NOTHING


def test_a_question_hidden_by_its_author_is_still_found() -> None:
    assert problems_in("[hide]Find $x$ if $x = 2$.[/hide]") == ["Find $x$ if $x = 2$."]


@given(POSTS)
def test_the_reply_to_any_post_is_read_back_as_what_was_found(post: str) -> None:
    read = parse_problems(extract(post))
    assert isinstance(read, tuple)
    assert len(read) == len(problems_in(post))


@pytest.mark.parametrize(
    "bit", ["[quote]", "[/quote]", "[img]", "\\[", "$", "<sub>", "1. find x\n", "Problem 1: ", "... ", " "]
)
def test_a_megabyte_of_anything_takes_seconds_of_computing_at_most(bit: str) -> None:
    started = time.process_time()
    extract(bit * (1_000_000 // len(bit)))
    assert time.process_time() - started < 10


@given(st.text())
def test_the_same_post_has_the_same_reply(post: str) -> None:
    assert extract(post) == extract(post)
