from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.answers import has_answer, same_text


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("5", "$5$"),
        ("\\dfrac{1}{2}", "\\frac{1}{2}."),
        ("x = 5", "x=5"),
        ("\\boxed{\\left(1, 2\\right)}", "(1, 2)"),
        ("no solution", "\\text{no solution}"),
        ("√2", "\\sqrt 2"),
        ("1, 2", "1, 2,"),
        ("y" * 5000, "y" * 5000),
    ],
)
def test_dress_makes_no_other_text(left: str, right: str) -> None:
    assert same_text(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("5", "6"),
        ("3 1/2", "31/2"),
        ("1 2", "12"),
        ("1, 234", "1,234"),
        ("x", "X"),
        ("", " "),
        ("?", "!"),
        ("y" * 5000, "y"),
    ],
)
def test_other_texts_and_no_texts_are_not_the_same(left: str, right: str) -> None:
    assert not same_text(left, right)


@pytest.mark.parametrize(
    "text", ["0", "x", "\\pi", "∞", "\\emptyset", "\\{\\}", "yes", "奇数", "\\mathbb{R}", "½", "\\ell"]
)
def test_a_number_a_name_a_word_or_a_sign_of_its_own_is_an_answer(text: str) -> None:
    assert has_answer(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "$$", "?", "...", "\\ldots", "\\boxed{}", "-", "\\square", "✓", "\\text{ }", "\\frac{}{}", "_", "<"],
)
def test_marks_alone_are_no_answer(text: str) -> None:
    assert not has_answer(text)


@given(st.text(max_size=40), st.text(max_size=40))
def test_which_text_comes_first_makes_no_difference(left: str, right: str) -> None:
    assert same_text(left, right) == same_text(right, left)
    assert same_text(left, left)
    has_answer(left)
