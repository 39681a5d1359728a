"""Samples that are still to come, from those of problems that have ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.estimate.draws import Draws, Ended
from omr_kedro.estimate.figures import ASSUMED, COUNTED, MEASURED

ENDED = st.builds(Ended, st.booleans(), st.integers(1, 32), st.integers(1, 10**6), st.integers(1, 32))


def draws(*calls: tuple[bool, int], few: int = 2) -> Draws:
    return Draws(16, 16, few, [Ended(known, number, 100 * number, number) for known, number in calls])


def test_problems_with_a_known_answer_and_without_are_told_apart() -> None:
    found = draws((True, 4), (True, 8), (False, 20), (False, 32))
    assert (found.calls(known=True), found.calls(known=False)) == (6, 26)


def test_a_problem_that_has_drawn_more_is_told_from_those_that_drew_as_many() -> None:
    found = draws((False, 4), (False, 4), (False, 12), (False, 32))
    assert found.calls(known=False) == 13
    assert found.calls(known=False, at_least=8) == 22
    assert found.calls(known=False, at_least=40) == 40


def test_where_too_few_have_ended_what_the_stage_declares_is_taken() -> None:
    found = draws((True, 4), few=2)
    assert found.calls(known=True) == 16
    assert found.calls(known=True, at_least=20) == 20
    assert found.told(all_ended=False).kind == ASSUMED
    assert found.told(all_ended=True).kind == COUNTED


def test_where_few_are_of_a_kind_all_kinds_tell() -> None:
    assert draws((True, 4), (True, 8), (False, 30)).calls(known=False) == 14
    told = draws((True, 4), (True, 8), (False, 30)).told(all_ended=False)
    assert (told.kind, told.value) == (MEASURED, 14)
    assert told.told == "6.0 where the answer is known (2 problems), 30.0 where the answer is not known (1 problems)"


def test_a_fixed_draw_has_as_many_samples_of_easy_problems_as_of_hard_ones() -> None:
    found = Draws(16, 16, 2, [Ended(True, 4, 4 * 1000, 4), Ended(False, 32, 32 * 9000, 32)])
    assert found.tokens_of_sample == 5000
    assert Draws(16, 16, 3, found.ended).tokens_of_sample is None


def test_samples_that_are_conversations_are_counted_and_not_their_turns() -> None:
    found = Draws(32, 16, 2, [Ended(True, 10, 4000, 4), Ended(False, 90, 32 * 9000, 36)])
    assert found.calls_of_sample == 2.5
    assert found.tokens_of_sample == 4500
    assert found.told(all_ended=True).value == 20
    assert found.calls(known=True) == 50, "what is to be paid is calls"


def test_before_a_sample_has_ended_its_calls_are_as_the_stage_declares() -> None:
    found = Draws(32, 16, 2)
    assert found.calls_of_sample == 2
    assert found.told(all_ended=False).value == 16


@given(st.lists(ENDED, max_size=40), st.booleans(), st.integers(0, 40), st.integers(1, 40))
def test_a_forecast_is_never_below_what_is_there_nor_above_what_was_ever_drawn(
    ended: list[Ended], known: bool, at_least: int, few: int
) -> None:
    found = Draws(16, 16, few, ended).calls(known, at_least)
    assert at_least <= found <= max([at_least, 16, *(each.calls for each in ended)])
    assert found == pytest.approx(Draws(16, 16, few, ended[::-1]).calls(known, at_least))
