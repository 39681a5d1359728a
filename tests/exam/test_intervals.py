from __future__ import annotations

from itertools import product
from math import comb, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.exam import balanced, mcnemar, wilson

COUNTS = st.integers(1, 500).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [
        # R: prop.test(x, n, correct = FALSE)$conf.int
        (0, 10, 0.0, 0.2775328),
        (10, 10, 0.7224672, 1.0),
        (15, 20, 0.5313081, 0.8881309),
        (81, 263, 0.2552889, 0.3662120),
    ],
)
def test_the_interval_of_a_share_is_that_of_wilson(right: int, total: int, low: float, high: float) -> None:
    found = wilson(right, total)
    assert found.share == right / total
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-4)


def test_of_nothing_every_share_is_possible() -> None:
    assert tuple(wilson(0, 0))[1:] == tuple(balanced([]))[1:] == (0.0, 1.0)


@given(COUNTS, COUNTS)
def test_an_interval_holds_its_share_and_that_of_one_class_is_wilson_s(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    found = balanced([one, other])
    assert 0 <= found.low <= found.share <= found.high <= 1
    assert found.share == pytest.approx((one[0] / one[1] + other[0] / other[1]) / 2)
    assert balanced([one]) == pytest.approx(wilson(*one))


def test_few_rows_of_one_class_make_it_wide_however_many_the_others_have() -> None:
    assert balanced([(30, 30), (30, 30)]) == pytest.approx(wilson(60, 60))
    assert balanced([(10, 10), (1000, 1000)]).low < wilson(40, 40).low


@pytest.mark.parametrize("rows", [(60,), (30, 30), (45, 105), (79, 79), (15, 45), (30, 150), (14, 14, 14)])
@pytest.mark.parametrize("shares", [(0.95, 0.95, 0.95), (0.9, 0.9, 0.9), (0.7, 0.99, 0.9)])
def test_the_true_mean_of_shares_lies_within_in_93_of_100_exams(
    rows: tuple[int, ...], shares: tuple[float, ...]
) -> None:
    shares = shares[: len(rows)]
    chances = [
        [comb(total, right) * share**right * (1 - share) ** (total - right) for right in range(total + 1)]
        for total, share in zip(rows, shares, strict=True)
    ]
    within = 0.0
    for rights in product(*(range(total + 1) for total in rows)):
        chance = prod(each[right] for each, right in zip(chances, rights, strict=True))
        if chance > 1e-9:
            found = balanced(list(zip(rights, rows, strict=True)))
            within += chance * (found.low <= sum(shares) / len(shares) <= found.high)
    assert within > 0.93


@pytest.mark.parametrize(("one", "other", "p"), [(0, 0, 1.0), (5, 5, 1.0), (0, 5, 0.0625), (1, 9, 22 / 1024)])
def test_the_test_of_mcnemar_is_exact(one: int, other: int, p: float) -> None:
    assert mcnemar(one, other) == mcnemar(other, one) == pytest.approx(p)


@given(st.integers(0, 60), st.integers(0, 60))
def test_it_is_the_two_sided_binomial_test(one: int, other: int) -> None:
    rows = one + other
    as_extreme = sum(comb(rows, number) for number in range(rows + 1) if abs(2 * number - rows) >= abs(one - other))
    assert mcnemar(one, other) == pytest.approx(as_extreme / 2**rows)
