from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.answers import grade_cheaply, surely_differ, surely_equal
from tests.answers.key import read_key


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("5", "7"),
        ("x = 5", "7"),
        ("\\frac12", "\\sqrt2"),
        ("60^\\circ", "120^\\circ"),
        ("3\\text{ km}", "4\\text{ km}"),
        ("1.5", "2.5"),
        ("\\{1,2\\}", "\\{1,3\\}"),
        ("1, 2", "1, 2, 3"),
        ("(1,2)", "(1,3)"),
        ("[0,1]", "[0,2]"),
        ("(-\\infty,3]", "(-\\infty,4]"),
        ("2^{100}", "2^{101}"),
    ],
)
def test_other_numbers_are_another_answer_to_whatever_problem(left: str, right: str) -> None:
    assert surely_differ(left, right)
    assert surely_differ(right, left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("0.33", "\\frac13"),
        ("1.41", "\\sqrt2"),
        ("3.14", "3.1416"),
        ("13", "12.57"),
        ("5\\text{ km}", "5000\\text{ m}"),
        ("60^\\circ", "120"),
        ("50\\%", "0.4"),
        ("40", "0.4"),
        ("\\frac{2}{5}", "40"),
        ("150", "\\frac{5\\pi}{6}"),
        ("n+1", "k+2"),
        ("2+i", "3+i"),
        ("\\log 100", "3"),
        ("101_2", "101"),
        ("4:30", "16:30"),
        ("1,5", "1.5"),
        ("1,500", "1, 501"),
        ("(2,3)", "(3,2)"),
        ("(1,2)", "[1,2]"),
        ("[0,1]", "(0,1)"),
        ("\\{5\\}", "7"),
        ("kite", "rhombus"),
        ("10^{10^{10}}", "7"),
        ("", ""),
    ],
)
def test_a_problem_may_make_these_the_same(left: str, right: str) -> None:
    assert not surely_differ(left, right)
    assert not surely_differ(right, left)


def test_no_equal_answers_of_the_key_differ_beyond_doubt() -> None:
    assert [entry for entry in read_key() if entry.equal and surely_differ(entry.gold, entry.answer)] == []


@given(st.integers(-999, 999), st.integers(-999, 999))
def test_whole_numbers_differ_beyond_doubt_unless_one_may_be_the_other_in_percent(left: int, right: int) -> None:
    in_percent = left == 100 * right or right == 100 * left
    assert surely_differ(str(left), str(right)) == (left != right and not in_percent)


@given(st.text(st.sampled_from("0159.,/+-*^_(){}[]|\\ $%=<>xyen:"), max_size=20), st.text(max_size=9))
def test_what_differs_beyond_doubt_is_never_called_equal(left: str, right: str) -> None:
    for other in (right, left):
        assert not (surely_differ(left, other) and grade_cheaply(left, other) == "equal")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("0.5", "\\frac12"),
        ("1, 2", "1,2"),
        ("1, \\frac12", "1, 0.5"),
        ("\\{1,2\\}", "\\{2,1,1\\}"),
        ("x=1, y=2", "y=2, x=1"),
        ("x=1 \\text{ or } x=2", "x=2, x=1"),
        ("a_1+2", "2+a_1"),
        ("(a) 0.5, (b) \\{1,2\\}", "(a) \\frac12; (b) \\{2,1\\}"),
        ("k\\pi, k\\in\\mathbb{Z}", "n\\pi, n\\in\\mathbb Z"),
    ],
)
def test_equal_answers_are_equal_to_whatever_problem(left: str, right: str) -> None:
    assert grade_cheaply(left, right) == "equal"
    assert surely_equal(left, right)
    assert surely_equal(right, left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1, 2", "2, 1"),
        ("1, 2", "\\{2,1\\}"),
        ("1, 1, 2", "1, 2"),
        ("101_2", "5"),
        ("2:3", "\\frac23"),
        ("4:30", "2:15"),
        ("(a) 7, (b) 1, 2", "(a) 7, (b) 2, 1"),
    ],
)
def test_a_problem_may_tell_equal_values_apart(left: str, right: str) -> None:
    assert not surely_equal(left, right)
    assert not surely_equal(right, left)
