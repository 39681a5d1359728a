from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omr_kedro.answers import (
    Case,
    Limits,
    Verdict,
    Workers,
    assess,
    assessment,
    comparison,
    grade,
    grade_cheaply,
    grading,
    parse_answer,
    poses_several,
    same_text,
    surely_differ,
    surely_equal,
)
from omr_kedro.answers.readings import read_answer
from omr_kedro.answers.undefined import undefined_symbols
from omr_kedro.text import (
    decisive_tokens,
    normal_form,
    parse_conversion,
    parse_label,
    parse_problems,
    split_reasoning,
)
from omr_kedro.text.discussions import split_posts
from omr_kedro.text.old_macros import without_old_macros
from omr_kedro.text.quotes import without_quotes, without_quotes_as_original
from tests.support.growth import readers
from tests.support.hostile_texts import ATOMS, OF_ONE, OF_TWO, UNITS, filled

_LATEX = st.recursive(
    st.sampled_from(ATOMS),
    lambda inside: st.builds(filled, st.sampled_from(OF_ONE + OF_TWO), inside, inside),
    max_leaves=12,
)
_SHAPES = st.lists(st.sampled_from(sorted(UNITS.values())), max_size=12).map("".join)
_TEXTS = st.one_of(_LATEX, st.text(max_size=60), _SHAPES)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(1, Limits(cpu_seconds=0.5)) as pool:
        yield pool


@given(gold=_TEXTS, answer=_TEXTS)
@settings(max_examples=600, deadline=None)
def test_no_two_answers_make_the_comparison_fail(gold: str, answer: str) -> None:
    assert grade_cheaply(gold, answer) is not Verdict.CRASHED
    undefined_symbols(answer, gold)
    read_answer(answer)
    same_text(gold, answer)
    surely_differ(gold, answer)
    surely_equal(gold, answer)


@given(text=_TEXTS)
@settings(max_examples=300, deadline=None)
def test_no_text_makes_a_parser_fail(text: str) -> None:
    parse_answer(text)
    parse_problems(text)
    parse_conversion(text)
    parse_label(text, ("proof", "not proof"))
    split_reasoning(text, text)
    poses_several(text)
    split_posts(text)
    without_quotes(text)
    without_old_macros(text)
    without_quotes_as_original(text)
    normal_form(text)
    decisive_tokens(text)


@given(text=st.text(max_size=80))
@settings(max_examples=40, deadline=None)
def test_no_text_makes_any_reader_fail(text: str) -> None:
    for name, read in readers().items():
        if "lexer" not in name:
            read(text)


@given(case=st.builds(Case, _TEXTS, _TEXTS, _TEXTS, st.booleans()))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_case_makes_an_assessment_fail(workers: Workers, case: Case) -> None:
    (found,) = assess([case], workers)
    assert "crashed" not in found.findings


@pytest.mark.parametrize("error", [TypeError, RecursionError, OverflowError, ZeroDivisionError])
@pytest.mark.parametrize("reader", ["answer_form", "posts_of", "undefined_symbols"])
def test_an_answer_that_breaks_a_reader_costs_itself_alone(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, reader: str, error: type[Exception]
) -> None:
    def broken(text: str, *others: str) -> object:
        if "7" in text:
            raise error
        return whole(text, *others)

    whole = getattr(assessment, reader)
    monkeypatch.setattr(assessment, reader, broken)
    cases = [Case("Find $x$.", answer, f"Post 1:\n\\boxed{{{answer}}}", True) for answer in ("5", "7", "9")]
    first, second, third = assess(cases, workers)
    assert (first.agreeing_posts, third.agreeing_posts) == (1, 1)
    assert not first.findings
    assert list(second.findings) == ["crashed"] or (reader == "posts_of" and second.agreeing_posts == 0)


def test_a_pair_that_breaks_the_comparison_stays_undecided_and_the_others_are_graded(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = comparison.compare
    monkeypatch.setattr(grading, "compare", lambda a, b: 1 / 0 if a.text == "7" else whole(a, b))
    assert grade([("5", "5.0"), ("7", "7.0"), ("9", "8")], workers) == [
        Verdict.EQUAL,
        Verdict.CRASHED,
        Verdict.UNEQUAL,
    ]
