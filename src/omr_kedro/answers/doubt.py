"""Verdicts of `grade` that hold whatever the problem asks, and those that do not.

`grade` sees two answers and no problem. It calls unequal whatever it cannot show to be equal: most of that is another
number, but some is the same answer in a unit of its own, rounded as the problem asks, or with other names. And it calls
equal what is equal by its usual meaning: the same values in another order, a ratio and a fraction, a number in two
bases. A problem may ask for one of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

from omr_kedro.answers.comparison import compare
from omr_kedro.answers.effort import Effort, ExhaustedError
from omr_kedro.answers.kinds import Kind, Reading
from omr_kedro.answers.readings import read_answer
from omr_kedro.answers.reals import real_constant
from omr_kedro.answers.trees import DEGREE, Expr

_SEVERAL = frozenset({Kind.SET, Kind.LIST})
_MOST_COMPARISONS = 2500
_ROUNDED = re.compile(r"\d\.\d|(?<!\d)\.\d|\\approx|\\simeq|≈")
_NEAR = Fraction(1, 10)
"""Of the larger one: a decimal this close to another number may be that number rounded, 0.3 for a third included."""
_EXACT = Fraction(1, 10**30)
"""As exact as values of roots and functions are computed, with room for cancellation."""
_OTHER_NOTATION = re.compile(r"[\d)] ?_|:")
"""Signs of digits in another base, of times and of ratios: these are numbers of another kind."""


def surely_differ(left: str, right: str) -> bool:
    """Whether both answers are numbers, or several of them in one form, and some number of one is none of the other's.

    Numbers do not differ beyond doubt where one may be the other rounded, in percent or in degrees, where only one has
    a unit, and where they stand in another order. Nor does anything with symbols: a problem may say what they are.
    """
    try:
        return _surely_differ(read_answer(left), read_answer(right), Effort())
    except ExhaustedError:
        return False


def surely_equal(left: str, right: str) -> bool:
    """Whether two answers that `grade` calls equal are so whatever the problem asks for.

    They may not be where one is a ratio, a time or a number with its base, and where several values stand in another
    order or another number of times, unless both are sets in braces or each value has its name. Parts are looked at
    one by one.
    """
    return _whatever_is_asked(read_answer(left), read_answer(right))


def _whatever_is_asked(ours: Reading, theirs: Reading) -> bool:
    if ours.kind is Kind.PARTS is theirs.kind:
        return all(_whatever_is_asked(*pair) for pair in zip(ours.parts, theirs.parts, strict=True))
    if any(_OTHER_NOTATION.search(side.text) for side in (ours, theirs)):
        return False
    if {ours.kind, theirs.kind} <= _SEVERAL and not _free_of_order(ours, theirs):
        same_number = len(ours.parts) == len(theirs.parts)
        return same_number and all(compare(*pair) for pair in zip(ours.parts, theirs.parts, strict=True))
    return True


def _free_of_order(left: Reading, right: Reading) -> bool:
    """`x = 1, y = 2` says which is which, and `x = 1, x = 2` that either will do."""
    return left.kind is Kind.SET is right.kind or all(part.label for part in (*left.parts, *right.parts))


def _surely_differ(left: Reading, right: Reading, effort: Effort) -> bool:
    if left.kind is Kind.VALUE is right.kind:
        return _other_number(left, right, effort)
    if left.kind is Kind.INTERVAL is right.kind:
        return any(_other_number(ours, theirs, effort) for ours, theirs in zip(left.parts, right.parts, strict=True))
    if left.kind is Kind.TUPLE is right.kind or {left.kind, right.kind} <= _SEVERAL:
        return _without_partner(left.parts, right.parts, effort) or _without_partner(right.parts, left.parts, effort)
    return False


def _without_partner(ours: Sequence[Reading], theirs: Sequence[Reading], effort: Effort) -> bool:
    """Whether some number is none of the others."""
    if not theirs or len(ours) * len(theirs) > _MOST_COMPARISONS:
        return False
    return any(all(_other_number(own, their, effort) for their in theirs) for own in ours)


def _other_number(left: Reading, right: Reading, effort: Effort) -> bool:
    if left.unit != right.unit or any(_OTHER_NOTATION.search(side.text) for side in (left, right)):
        return False
    values = [_number(side, effort) for side in (left, right)]
    if None in values:
        return False
    first, second = (Fraction(value) for value in values if value is not None)
    rounded = any(_ROUNDED.search(side.text) for side in (left, right))
    if _close(first, second, _NEAR if rounded else _EXACT):
        return False
    return bool(left.unit) or not any(
        _close(scale * first, second, _EXACT) or _close(first, scale * second, _EXACT) for scale in _scales()
    )


def _close(left: Fraction, right: Fraction, share: Fraction) -> bool:
    return abs(left - right) <= share * max(abs(left), abs(right))


@cache
def _scales() -> tuple[Fraction, ...]:
    """Percent of 1, and degrees of a radian: a number without a sign may be of either kind."""
    degree = real_constant(DEGREE, Effort())
    return (Fraction(100), 1 / degree) if degree else (Fraction(100),)


def _number(side: Reading, effort: Effort) -> Fraction | None:
    """The value of a constant; None for all else, and where books mean different functions by one name."""
    if side.kind is not Kind.VALUE or side.tree is None or _has_bare_logarithm(side.tree):
        return None
    return real_constant(side.tree, effort)


def _has_bare_logarithm(tree: Expr) -> bool:
    return (tree.name == "log" and len(tree.args) == 1) or any(map(_has_bare_logarithm, tree.args))
