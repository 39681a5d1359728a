from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omr_kedro.answers import Limits, Verdict, Workers, grade, grade_cheaply
from omr_kedro.publishing.verifier import GRADING
from tests.answers.key import KEY_FILE, Entry, math_verify, read_key
from tests.support.project import ROOT

KEY = read_key()


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2, Limits(cpu_seconds=10)) as pool:
        yield pool


@pytest.fixture(scope="module")
def verdicts(workers: Workers) -> list[Verdict]:
    return grade([(entry.gold, entry.answer) for entry in KEY], workers)


def described(entry: Entry, verdict: Verdict) -> str:
    return f"{entry.kind}: {entry.gold} | {entry.answer} is {verdict}, not {entry.equal} {entry.why}"


def test_the_key_is_large_and_names_each_pair_once() -> None:
    assert len(KEY) >= 150
    assert len({(entry.gold, entry.answer) for entry in KEY}) == len(KEY)
    assert all(any(entry.equal is wanted for entry in KEY) for wanted in (True, False))


def test_no_pair_of_the_key_is_called_equal_wrongly(verdicts: list[Verdict]) -> None:
    wrong = [
        described(entry, verdict)
        for entry, verdict in zip(KEY, verdicts, strict=True)
        if verdict == Verdict.EQUAL and not entry.equal
    ]
    assert wrong == []


def test_we_agree_with_the_key_at_least_as_often_as_math_verify(
    verdicts: list[Verdict], capsys: pytest.CaptureFixture[str]
) -> None:
    ours = [(verdict == Verdict.EQUAL) == entry.equal for entry, verdict in zip(KEY, verdicts, strict=True)]
    theirs = [math_verify(entry.gold, entry.answer, seconds=None) == entry.equal for entry in KEY]
    with capsys.disabled():
        print(f"\nagreement with {len(KEY)} hand-checked pairs: ours {sum(ours)}, math-verify {sum(theirs)}")
    for entry, verdict, right in zip(KEY, verdicts, ours, strict=True):
        if not right:
            print(described(entry, verdict))
    assert sum(ours) >= sum(theirs)
    assert sum(ours) >= 0.98 * len(KEY)


def test_a_card_states_the_errors_on_the_key_as_they_are(verdicts: list[Verdict]) -> None:
    said = Counter((entry.equal, str(verdict)) for entry, verdict in zip(KEY, verdicts, strict=True))
    assert GRADING[2:] == (
        len(KEY),
        sum(entry.equal for entry in KEY),
        said[True, "equal"],
        said[False, "equal"],
        said[True, "unequal"],
        sum(number for (_, verdict), number in said.items() if verdict not in ("equal", "unequal")),
    )
    assert (ROOT / GRADING.key) == KEY_FILE


def test_which_of_two_answers_comes_first_makes_no_difference(workers: Workers, verdicts: list[Verdict]) -> None:
    assert grade([(entry.answer, entry.gold) for entry in KEY], workers) == verdicts


@pytest.mark.parametrize(
    "text", ["", " ", "$", "\\", "}{", "\\frac", "(((((", "\\text{", "=", "%", "^", "\\pm", "x=", ","]
)
def test_broken_text_is_equal_to_itself_and_to_nothing_else(text: str, workers: Workers) -> None:
    assert grade([(text, text), (text, "5"), ("5", text)], workers) == ["equal", "unequal", "unequal"]


def test_texts_too_long_to_be_short_answers_are_compared_as_they_stand() -> None:
    assert grade_cheaply("1+" * 1500 + "1", "1501") == Verdict.UNEQUAL
    assert grade_cheaply("x " * 1500, "x " * 1500) == Verdict.EQUAL


@pytest.mark.parametrize(
    "deep", ["(" * 2000 + "1" + ")" * 2000, "{" * 900 + "x" + "}" * 900, "\\sqrt{" * 300 + "2" + "}" * 300]
)
def test_deep_nesting_breaks_nothing(deep: str, workers: Workers) -> None:
    assert grade([(deep, "7")], workers) != [Verdict.EQUAL]


answers = st.one_of(
    st.integers(-(10**9), 10**9).map(str),
    st.fractions(max_denominator=999).map(str),
    st.from_regex(r"[-]?\d{1,4}(\.\d{1,4})?(\\%|\^\\circ)?", fullmatch=True),
    st.from_regex(r"\\frac\{\d{1,3}\}\{[1-9]\d?\}", fullmatch=True),
    st.from_regex(r"[xyn](\^[2-9])?[+-]\d{0,2}\\sqrt\{\d{1,2}\}", fullmatch=True),
    st.lists(st.integers(-50, 50).map(str), min_size=2, max_size=4).map(lambda n: "(" + ", ".join(n) + ")"),
)


@given(answers)
def test_an_answer_is_equal_to_itself_in_other_dress(answer: str) -> None:
    for dressed in (f"${answer}$", f"\\boxed{{{answer}}}", f" {answer}. ", f"z = {answer}"):
        assert grade_cheaply(answer, dressed) == Verdict.EQUAL


@given(st.fractions(max_denominator=10**4), st.fractions(max_denominator=10**4))
def test_rationals_are_equal_exactly_when_their_values_are(left: object, right: object) -> None:
    assert (grade_cheaply(str(left), str(right)) == Verdict.EQUAL) == (left == right)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=5), st.lists(st.integers(-9, 9), min_size=1, max_size=5))
def test_sets_are_equal_exactly_when_their_elements_are(left: list[int], right: list[int]) -> None:
    first, second = (f"\\{{{', '.join(map(str, numbers))}\\}}" for numbers in (left, right))
    assert (grade_cheaply(first, second) == Verdict.EQUAL) == (set(left) == set(right))


@given(st.lists(st.integers(-9, 9), min_size=3, max_size=4), st.lists(st.integers(-9, 9), min_size=3, max_size=4))
def test_tuples_are_equal_exactly_when_they_agree_in_order(left: list[int], right: list[int]) -> None:
    first, second = (f"({', '.join(map(str, numbers))})" for numbers in (left, right))
    assert (grade_cheaply(first, second) == Verdict.EQUAL) == (left == right)


coefficients = st.lists(st.integers(-6, 6), min_size=3, max_size=3)


@given(coefficients, coefficients)
def test_polynomials_are_equal_exactly_when_their_coefficients_are(left: list[int], right: list[int]) -> None:
    first, second = (f"({a})x^2+({b})x+({c})" for a, b, c in (left, right))
    factored = f"x(({right[0]})x+({right[1]}))+({right[2]})"
    assert (grade_cheaply(first, second) == Verdict.EQUAL) == (left == right)
    assert (grade_cheaply(first, factored) == Verdict.EQUAL) == (left == right)


@settings(max_examples=300)
@given(st.text(st.sampled_from("01259.,/+-*^_(){}[]|\\ $%=<>xyenpi!'\"ab"), max_size=25), st.text(max_size=12))
def test_any_text_gets_a_verdict(left: str, right: str) -> None:
    assert grade_cheaply(left, right) in {*Verdict, None}
    assert grade_cheaply(left, left) == Verdict.EQUAL
