from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.answers import grade_cheaply
from omr_kedro.llm.calls import Completion
from omr_kedro.solutions.summaries import (
    MAX_TOKENS,
    Summary,
    answer_stated,
    choice_stated,
    chosen,
    enough,
    read_summary,
)

VALID = Summary("valid", "5")
FLAWED = Summary("flawed", "6", "other_answer")


def same(answer: str) -> bool:
    return grade_cheaply("\\frac{5}{2}", answer) == "equal"


def words(text: str) -> int:
    return len(text.split())


def read(text: str, finish_reason: str = "stop", reasoning: str | None = None) -> Summary:
    completion = Completion("key", "model", text, finish_reason=finish_reason, reasoning=reasoning)
    return read_summary(completion, partial(answer_stated, same_answer=same), words)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("We add both. The sum is $\\boxed{\\frac{5}{2}}$.", "\\frac{5}{2}"),
        ("In other dress: \\boxed{$2.5$.}", "2.5"),
        ("First \\boxed{7} was wrong, it is \\boxed{\\dfrac52}.", "\\dfrac52"),
        ("<think>let me see, \\boxed{9}?</think>It is \\boxed{2.5}", "2.5"),
    ],
)
def test_a_summary_that_ends_in_the_answer_of_its_solution_is_valid(text: str, answer: str) -> None:
    summary = read(text)
    assert (summary.result, summary.flaw) == (answer, None)
    assert "<think>" not in summary.text


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("The sum is \\boxed{\\frac{2}{5}}.", "other_answer"),
        ("First it is \\boxed{2.5}, but finally \\boxed{3}.", "other_answer"),
        ("The sum is \\frac{5}{2}.", "no_answer"),
        ("The answer is $2.5$, in a box: \\boxed{}", "no_answer"),
        ("It is \\boxed{2.5}, or rather \\boxed{\\frac{5}{2}", "no_answer"),
        ("step " * MAX_TOKENS + "\\boxed{2.5}", "too_long"),
        ("<think>the sum is \\boxed{2.5}</think>", "unparsed_reply"),
        ("", "empty_reply"),
    ],
)
def test_a_summary_with_another_answer_or_none_of_its_own_is_not_valid(text: str, flaw: str) -> None:
    assert read(text).flaw == flaw


def test_a_summary_that_was_cut_is_not_valid_whatever_it_says() -> None:
    assert read("It is \\boxed{2.5}", "length").flaw == "cut"
    assert read("<think>It is", "length").flaw == "cut"


def test_the_reasoning_of_the_model_that_summarises_is_no_part_of_the_summary() -> None:
    summary = read("It is \\boxed{2.5}", reasoning="step " * MAX_TOKENS)
    assert summary == Summary("It is \\boxed{2.5}", "2.5")


def test_a_call_that_failed_gives_its_reason() -> None:
    assert read_summary(
        Completion("key", "model", error_kind="timeout"), partial(answer_stated, same_answer=same), words
    ) == Summary("", "", "timeout")


@pytest.mark.parametrize(
    ("drawn", "stops"),
    [
        ([], False),
        ([VALID], False),
        ([FLAWED], False),
        ([VALID, VALID], True),
        ([VALID, FLAWED], True),
        ([FLAWED, VALID], False),
        ([FLAWED, VALID, FLAWED], True),
        ([FLAWED, FLAWED, FLAWED], False),
        ([FLAWED, FLAWED, FLAWED, VALID], True),
        ([FLAWED, FLAWED, FLAWED, FLAWED], True),
    ],
)
def test_one_more_is_drawn_after_the_first_valid_one_and_four_at_most(drawn: list[Summary], stops: bool) -> None:
    assert enough(drawn) is stops


def test_the_longest_valid_one_is_kept_and_of_equally_long_ones_the_first() -> None:
    drawn = [Summary("short", "5"), Summary("much longer but wrong", "6", "other_answer"), Summary("longer", "5")]
    assert chosen(drawn) == 2
    assert chosen([VALID, Summary("other", "5")]) == 0
    assert chosen([FLAWED]) is None
    assert chosen([]) is None


@given(st.lists(st.sampled_from([VALID, FLAWED]), max_size=6))
def test_drawing_ends_and_a_valid_one_is_chosen_if_there_is_one(stream: list[Summary]) -> None:
    drawn: list[Summary] = []
    while not enough(drawn) and len(drawn) < len(stream):
        drawn.append(stream[len(drawn)])
    assert len(drawn) <= 4
    place = chosen(drawn)
    assert (place is not None) == (VALID in stream[:4])
    assert place is None or drawn[place].flaw is None


@given(st.text(st.sampled_from("\\boxed{}25<>/think "), max_size=30))
def test_any_reply_is_a_summary_with_or_without_a_flaw(text: str) -> None:
    summary = read(text)
    assert summary.flaw is not None or same(summary.result)


@pytest.mark.parametrize(
    ("text", "result", "flaw"),
    [
        ("The second slips in its last step.\n\nJudgment: 3", "3", None),
        ("**Judgement:** [3]", "3", None),
        ("The second slips in its last step.\n\nJudgment: 2", "2", "other_choice"),
        ("Judgment: 3 or 2", "", "no_choice"),
        ("Judgment: 5", "", "no_choice"),
        ("The third is the only one that counts all cases.", "", "no_choice"),
    ],
)
def test_a_summary_of_a_comparison_must_make_its_choice(text: str, result: str, flaw: str | None) -> None:
    stated = partial(choice_stated, chosen=3, answers=["10", "12", "10"])
    completion = Completion("key", "model", text, finish_reason="stop")
    assert read_summary(completion, stated, words) == Summary(text, result, flaw)
