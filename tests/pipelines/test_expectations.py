"""The rule that tells a stage that keeps too little from one that has few rows."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.pipelines.report.expectations import Expectations, StageCounts, surprises, tail

EXPECTED = Expectations(dropped={"decontaminate": 0.22})


def told(rows_in: int, dropped: int = 0, failed: int = 0, stage: str = "decontaminate") -> list[str]:
    return list(surprises(StageCounts(stage, "problem", rows_in, dropped, failed), EXPECTED))


@given(st.integers(0, 40), st.integers(0, 40), st.floats(0.01, 0.99))
def test_the_tail_is_that_of_the_binomial_distribution(successes: int, trials: int, probability: float) -> None:
    exact = sum(
        comb(trials, k) * probability**k * (1 - probability) ** (trials - k) for k in range(successes, trials + 1)
    )
    if successes <= trials and successes > trials * probability:
        assert tail(successes, trials, probability) == pytest.approx(exact, rel=1e-6)
    elif successes <= trials:
        assert tail(successes, trials, probability) == 1


@pytest.mark.parametrize(("successes", "probability"), [(600_000, 0.5), (310_400, 0.5), (3, 0.0)])
def test_the_tail_of_a_whole_corpus_is_found(successes: int, probability: float) -> None:
    assert 0 <= tail(successes, 620_000, probability) < 0.16


def test_a_judge_that_calls_everything_contaminated_is_told() -> None:
    (sentence,) = told(36, dropped=36)
    assert sentence == "decontaminate dropped 36 of 36 problems (100%; 22% was expected) and kept nothing"


@pytest.mark.parametrize(("rows_in", "dropped"), [(0, 0), (1, 1), (3, 3), (9, 2), (20, 12), (100_000, 45_000)])
def test_few_rows_and_usual_shares_are_no_surprise(rows_in: int, dropped: int) -> None:
    assert told(rows_in, dropped) == []


def test_failures_and_stages_that_are_expected_to_keep_everything_have_a_measure_too() -> None:
    assert told(10, failed=1) == []
    (failures,) = told(20, failed=5)
    assert failures.startswith("decontaminate failed 5 of 20 problems (25%; 0% was expected)")
    assert told(10, dropped=8, stage="merge_problems")


def test_a_stage_whose_rows_are_expected_to_fail_is_told_only_beyond_that() -> None:
    expected = Expectations(failed={"settle_cot": 0.15})
    assert not list(surprises(StageCounts("settle_cot", "sample", 68, 0, 10), expected))
    (sentence,) = surprises(StageCounts("settle_cot", "sample", 68, 0, 34), expected)
    assert sentence == "settle_cot failed 34 of 68 samples (50%; 15% was expected)"
    assert list(surprises(StageCounts("other", "sample", 68, 0, 10), expected))


@pytest.mark.parametrize(("usual", "quiet"), [(0.0, 3), (0.5, 16)])
def test_a_stage_may_lose_a_few_rows_quietly_and_not_one_more(usual: float, quiet: int) -> None:
    expected = Expectations(dropped={"s": usual})
    assert not list(surprises(StageCounts("s", "problem", quiet, quiet, 0), expected))
    assert list(surprises(StageCounts("s", "problem", quiet + 1, quiet + 1, 0), expected))
