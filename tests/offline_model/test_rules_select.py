from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.llm.calls import Completion
from omr_kedro.offline_model.replies import Reply
from omr_kedro.offline_model.rules_select import select, summarise_selection
from omr_kedro.offline_model.rules_solve import worked_problems
from omr_kedro.solutions.selection import outcome_of, read_selection
from omr_kedro.text import Unreadable
from omr_kedro.text.candidates import show_candidates
from omr_kedro.text.choices import parse_choice
from tests.offline_model.texts import POSTS

WORKED = worked_problems()[0]
BOTH = [f"It is $\\boxed{{{answer}}}$." for answer in (WORKED.wrong_answer, WORKED.answer)]


def outcome(texts: list[str], seed: int) -> str:
    reply = select(WORKED.problem, show_candidates(texts), seed)
    completion = Completion("k", "m", reply.content, reasoning=reply.reasoning, finish_reason=reply.finish_reason)
    return outcome_of(read_selection(completion, ["", ""]).chosen, [WORKED.answer in text for text in texts])


def test_of_ten_seeds_most_choose_right_and_some_wrong_and_some_nothing() -> None:
    assert Counter(outcome(BOTH, seed) for seed in range(10)) == Counter(right=6, wrong=1, unclear=3)
    assert Counter(outcome(BOTH[::-1], seed) for seed in range(10)) == Counter(right=4, wrong=3, unclear=3)


def test_a_slip_goes_with_the_solution_and_some_choices_go_with_the_place() -> None:
    both_orders = [{outcome(BOTH, seed), outcome(BOTH[::-1], seed)} for seed in range(10)]
    assert both_orders.count({"wrong"}) == 1
    assert both_orders.count({"right", "wrong"}) == 2


def test_of_four_summaries_two_make_the_choice_of_the_comparison() -> None:
    shown = show_candidates(BOTH)
    drawn = [summarise_selection("", shown, "So it is.\n\nJudgment: 2", seed).content for seed in range(4)]
    choices = [parse_choice(text, 2) for text in drawn]
    assert (choices.count(2), choices.count(1), sum(isinstance(one, Unreadable) for one in choices)) == (2, 1, 1)


@given(POSTS, st.lists(POSTS, max_size=4), POSTS, st.integers(-5, 2**70))
def test_any_texts_are_compared_and_always_in_the_same_way(
    problem: str, texts: list[str], comparison: str, seed: int
) -> None:
    for shown in (show_candidates(texts), problem):
        assert isinstance(select(problem, shown, seed), Reply)
        assert select(problem, shown, seed) == select(problem, shown, seed)
        assert isinstance(summarise_selection(problem, shown, comparison, seed), Reply)
