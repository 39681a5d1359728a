from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.solutions import pass_rate, pass_rate_of_first


def test_after_the_quota_is_met_it_is_inverse_sampling() -> None:
    assert pass_rate([True, False, True, False, False, True], quota=3) == pytest.approx(2 / 5)
    assert pass_rate([True] * 4, quota=4) == 1


def test_what_the_round_holds_after_the_quota_is_not_looked_at() -> None:
    stopped = [False, True, True]
    assert pass_rate([*stopped, True], quota=2) == pass_rate([*stopped, False], quota=2) == pass_rate(stopped, quota=2)


def test_a_fixed_number_and_a_quota_that_was_missed_give_the_share() -> None:
    hits = [True, False, False, False, True, False, False, False]
    assert pass_rate(hits) == pytest.approx(1 / 4)
    assert pass_rate(hits, quota=3) == pytest.approx(1 / 4)
    assert pass_rate([False] * 8, quota=3, give_up_at=8) == 0


@pytest.mark.parametrize("quota", [1, 2])
def test_hits_that_the_rule_did_not_know_of_when_it_went_on_have_a_rate_as_if_nothing_were_given_up(quota: int) -> None:
    # A judge may call right what the rule could not tell, and wrong what the rule took for right.
    late = [*[False] * 18, True, True]
    assert pass_rate(late, quota=quota, give_up_at=16) == pass_rate(late, quota=quota)


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs samples"):
        pass_rate([])


def outcomes(rounds: tuple[int, ...], quota: int, give_up_at: int | None) -> Iterator[list[bool]]:
    """All that may be drawn by a rule that looks at the ends of rounds only."""

    def go_on(hits: list[bool]) -> Iterator[list[bool]]:
        drawn = len(hits)
        ended = sum(hits) >= quota or (give_up_at is not None and drawn >= give_up_at and not any(hits))
        if drawn == rounds[-1] or (drawn in rounds and ended):
            yield hits
        else:
            yield from go_on([*hits, True])
            yield from go_on([*hits, False])

    return go_on([])


@pytest.mark.parametrize("quota", [1, 2, 3, 4])
@pytest.mark.parametrize("give_up_at", [None, 4, 6])
@pytest.mark.parametrize("rounds", [(2, 4, 6, 9), (1, 2, 3, 4, 5, 6, 7, 8), (4, 6, 10)])
def test_its_mean_over_all_that_may_be_drawn_is_the_true_rate(
    rounds: tuple[int, ...], quota: int, give_up_at: int | None
) -> None:
    for rate in (Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)):
        chances = mean = 0.0
        for hits in outcomes(rounds, quota, give_up_at):
            chance = float(rate ** sum(hits) * (1 - rate) ** (len(hits) - sum(hits)))
            chances += chance
            mean += chance * pass_rate(hits, quota, give_up_at)
        assert chances == pytest.approx(1)
        assert mean == pytest.approx(float(rate), abs=1e-12)


def test_the_plain_share_is_too_high_after_a_quota() -> None:
    share = sum(2.0 ** -len(hits) * sum(hits) / len(hits) for hits in outcomes((2, 4, 6, 8), 2, None))
    assert share > 0.56


@given(st.lists(st.booleans(), min_size=1, max_size=32), st.integers(1, 5))
def test_it_is_a_probability(hits: list[bool], quota: int) -> None:
    assert 0 <= pass_rate(hits, quota) <= 1


def test_of_the_first_eight_there_is_none_where_sampling_stopped_before() -> None:
    hits = [True, True, True, True, False, False, False, False, True, True]
    assert pass_rate_of_first(hits) == 0.5
    assert pass_rate_of_first(hits[:4]) is None
    assert pass_rate_of_first(hits[:4], count=4) == 1
