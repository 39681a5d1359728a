"""Intervals around shares, and the test whether two models differ: formulas with their sources."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt
from typing import NamedTuple

Z_95 = 1.959963984540054
"""Quantile of the normal distribution that leaves 2.5 % on each side."""


class Interval(NamedTuple):
    """A share, and the 95 % interval in which the true one lies."""

    share: float
    low: float
    high: float


UNKNOWN = Interval(0.0, 0.0, 1.0)
"""The interval of a share that nothing is known of."""


def wilson(right: int, total: int, z: float = Z_95) -> Interval:
    """The score interval of a share (Wilson 1927; Brown, Cai and DasGupta 2001 recommend it for small samples).

    Args:
        right: successes.
        total: trials; with none, every share is possible.
        z: quantile of the normal distribution; the default gives 95 %.
    """
    return _score_interval(right / total, total, z) if total else UNKNOWN


def _score_interval(share: float, rows: float, z: float) -> Interval:
    square = z * z / rows
    centre = (share + square / 2) / (1 + square)
    half = sqrt(square * share * (1 - share) + square**2 / 4) / (1 + square)
    return Interval(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def balanced(classes: Sequence[tuple[int, int]], z: float = Z_95) -> Interval:
    """The interval of the mean of the classes' shares: Wilson's, of as many rows as tell as much of this mean.

    Few rows of one class tell little, however many the others have. The effective number of rows (Kish 1965; with
    Wilson's interval: Franco, Little, Louis and Slud 2019, Journal of Survey Statistics and Methodology 7, 334) is that
    of a plain sample whose share varies as much. It is taken for equal shares, and for those that were found, and the
    smaller counts: with all rows right, or classes that differ, either alone is too sure. The true mean lies within
    in 93 of 100 exams or more, where it was computed (tests/exam/test_intervals.py).

    Args:
        classes: rows that are right, and all rows, of each class.
        z: quantile of the normal distribution; the default gives 95 %.
    """
    classes = [(right, total) for right, total in classes if total]
    if not classes:
        return UNKNOWN
    count = len(classes)
    shares = [right / total for right, total in classes]
    share = sum(shares) / count
    equal = count**2 / sum(1 / total for _, total in classes)
    variance = sum(each * (1 - each) / total for each, (_, total) in zip(shares, classes, strict=True)) / count**2
    return _score_interval(share, min(equal, share * (1 - share) / variance) if variance else equal, z)


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p value that two models are equally good on the same rows (exact McNemar test, as a binomial test).

    Under that hypothesis a row on which they differ favours either with a probability of one half (McNemar 1947).

    Args:
        only_first: rows that the first has right and the second has not.
        only_second: the reverse.
    """
    rows = only_first + only_second
    fewer = min(only_first, only_second)
    return min(1.0, 2 * sum(comb(rows, number) for number in range(fewer + 1)) / float(2**rows))
