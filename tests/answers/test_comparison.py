from __future__ import annotations

from itertools import combinations

import pytest

from omr_kedro.answers import Verdict, grade_cheaply
from omr_kedro.answers.effort import Effort, ExhaustedError
from omr_kedro.answers.expressions import parse_expression
from omr_kedro.answers.functions import same_value
from omr_kedro.answers.trees import depth

_WITHOUT_VALUE = [
    "\\ln 0", "\\log_2 0", "\\log_0 5", "\\log_1 5", "\\arctan(i)", "\\arctan(-i)", "\\ln(x-x)", "\\frac{1}{0}",
    "\\frac{0}{0}", "\\frac{x}{x-x}", "0^{-1}", "|\\ln 0|", "\\cot 0", "\\lfloor 1/0\\rfloor", "\\infty-\\infty",
    "\\exp(\\ln 0)",
]  # fmt: skip


@pytest.mark.parametrize("text", _WITHOUT_VALUE)
def test_what_has_no_value_or_an_infinite_one_equals_nothing(text: str) -> None:
    for other in ("0", "1", "5", "x", "e", "\\pi", "\\sqrt 2", "\\ln 2"):
        assert grade_cheaply(text, other) is Verdict.UNEQUAL, other
        assert grade_cheaply(other, text) is Verdict.UNEQUAL, other


def test_no_two_of_those_without_value_are_equal() -> None:
    for left, right in combinations(_WITHOUT_VALUE, 2):
        assert grade_cheaply(left, right) is Verdict.UNEQUAL, (left, right)


def test_infinity_equals_itself_in_other_dress_and_no_sum_with_it() -> None:
    assert grade_cheaply("\\infty", "+\\infty") is Verdict.EQUAL
    assert grade_cheaply("(0,\\infty)", "x>0") is Verdict.EQUAL
    assert grade_cheaply("\\infty", "\\infty+1") is Verdict.UNEQUAL
    assert grade_cheaply("\\frac{\\infty}{\\infty}", "1") is Verdict.UNEQUAL


@pytest.mark.parametrize("text", ["i!", "(2i)!", "\\binom{i}{2}", "\\sqrt[i]{2}", "\\lfloor i\\rfloor", "5!!"])
def test_operations_that_are_not_for_complex_numbers_are_left_to_the_worker(text: str) -> None:
    assert grade_cheaply(text, "5") is None


@pytest.mark.parametrize(
    "text",
    ["\\sin(10^{3000}i)", "\\lfloor\\sin(10^{200}i)/i\\rfloor", "\\binom{5}{10^{900}}", "\\sin(10^{40})", "9^{9^{9}}"],
)
def test_numbers_that_are_too_large_are_left_to_the_worker(text: str) -> None:
    assert grade_cheaply(text, "5") is None


def test_fractions_within_fractions_are_read_once() -> None:
    tree = parse_expression("2\\frac{" * 19 + "x" + "}{3}" * 19)
    assert tree is not None
    assert depth(tree) == 2 * 19 + 1


@pytest.mark.parametrize(
    "text", ["\\sin " * 250 + "x", "\\sqrt" * 250 + "2", "2^" * 140 + "2", "(" * 41 + "1" + ")" * 41, "x" * 290]
)
def test_what_is_nested_too_deep_is_not_read(text: str) -> None:
    assert parse_expression(text) is None


def test_a_product_with_a_fraction_is_no_mixed_number() -> None:
    assert grade_cheaply("3\\frac{x}{2}", "1.5x") is Verdict.EQUAL
    assert grade_cheaply("2\\frac{x}{3}^2", "2(\\frac{x}{3})^2") is Verdict.EQUAL
    assert grade_cheaply("3\\frac{1}{2}", "3.5") is Verdict.EQUAL


def test_an_effort_ends() -> None:
    trees = [parse_expression(text) for text in ("\\sqrt 2+\\sqrt 3", "\\sqrt{5+2\\sqrt 6}")]
    assert trees[0] is not None
    assert trees[1] is not None
    assert same_value(trees[0], trees[1], Effort()) is True
    with pytest.raises(ExhaustedError):
        same_value(trees[0], trees[1], Effort(50))


def test_nested_sets_of_many_roots_are_left_to_the_worker_and_fifty_are_not() -> None:
    def nested(shift: int) -> str:
        rows = (",".join(f"\\sqrt{{{row * 9 + place + shift}}}" for place in range(9)) for row in range(14))
        return "\\{" + ",".join(f"\\{{{row}\\}}" for row in rows) + "\\}"

    def flat(shift: int) -> str:
        return "\\{" + ",".join(f"\\sqrt{{{place * place + shift}}}" for place in range(1, 51)) + "\\}"

    assert grade_cheaply(nested(2), nested(1002)) is None
    assert grade_cheaply(flat(1), flat(2)) is Verdict.UNEQUAL
