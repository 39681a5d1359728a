"""Whether two answers that were taken apart are equal: element by element, as far as it can be told cheaply."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from omr_kedro.answers.effort import Effort, ExhaustedError
from omr_kedro.answers.expressions import parse_expression
from omr_kedro.answers.functions import exact_value, proportional, same_value
from omr_kedro.answers.kinds import Kind, Reading
from omr_kedro.answers.readings import read_answer
from omr_kedro.answers.reals import real_constant
from omr_kedro.answers.trees import DEGREE, Expr, difference, number, renamed, symbols

_Rule = Callable[[Reading, Reading, Effort], bool | None]

_LONG_DECIMAL = re.compile(r"[-+]? ?\d*\.\d{6,}")
_ROUNDED_TO = 6
"""Decimal places to which a decimal and an exact number must agree; math-verify has the same rule."""
_MOST_COMPARISONS = 2500
_SMALLEST_ROUNDED = Fraction(1, 1000)
_ARGUMENT = re.compile(r"(\w+)\(([a-z])\)")
_COUNTED = frozenset({"degree", "percent"})


def compare(left: Reading, right: Reading) -> bool | None:
    """Whether two answers are equal, or None when more than this module is needed to tell."""
    try:
        return _compare(left, right, Effort())
    except ExhaustedError:
        return None


def _compare(left: Reading, right: Reading, effort: Effort) -> bool | None:
    effort.spend(1)
    if left.text.replace(" ", "") == right.text.replace(" ", "") and left.kind is right.kind:
        return left.label in {"", right.label} or not right.label
    if {left.kind, right.kind} & _LIKE_ONLY.keys():
        return left.kind is right.kind and _LIKE_ONLY[left.kind](left, right, effort)
    left, right = _with_one_variable(left, right)
    if left.label and right.label and left.label != right.label:
        return _compare_relations(left, right, effort) if _are_functions(left, right) else False
    if left.kind is Kind.RELATION or right.kind is Kind.RELATION:
        return _compare_relations(left, right, effort)
    if left.kind is not right.kind:
        return _compare_kinds(left, right, effort)
    return _COMPARE[left.kind](left, right, effort)


def _with_one_variable(left: Reading, right: Reading) -> tuple[Reading, Reading]:
    """`f(t) = 2t` as `f(x) = 2x` where the other is about `f(x)`: the name of the argument says nothing."""
    ours, theirs = (_ARGUMENT.fullmatch(side.label) for side in (left, right))
    if not ours or not theirs or ours[1] != theirs[1] or right.tree is None or ours[2] in symbols(right.tree):
        return left, right
    return left, replace(right, label=left.label, tree=renamed(right.tree, theirs[2], ours[2]))


def _are_functions(*sides: Reading) -> bool:
    """Whether these say how one quantity depends on others, as in `y = 2x`; `x = 5` and `y = 5` don't."""
    return all(side.kind is Kind.VALUE and side.tree is not None and symbols(side.tree) for side in sides)


def _compare_values(left: Reading, right: Reading, effort: Effort) -> bool | None:
    if left.tree is None or right.tree is None:
        return None
    if left.unit != right.unit:
        return _compare_units(left, right, effort)
    if rounded := _compare_decimals(left, right, effort):
        return rounded
    return same_value(left.tree, right.tree, effort)


def _compare_units(left: Reading, right: Reading, effort: Effort) -> bool | None:
    """A unit may be left out; `50%` is also 0.5, and `180` degrees are also π."""
    if left.unit and right.unit and not {left.unit, right.unit} <= {"degree", "radian"}:
        return False
    marked, bare = (left, right) if left.unit in _COUNTED or not right.unit else (right, left)
    assert marked.tree is not None and bare.tree is not None  # noqa: PT018, S101
    if marked.unit == "percent":
        return _compare_percent(marked.tree, bare.tree, effort)
    if marked.unit == "degree" and (bare.unit == "radian" or "\\pi" in bare.text):
        in_radians = Expr("mul", (marked.tree, DEGREE))
        return same_value(in_radians, bare.tree, effort)
    return _compare(replace(marked, unit="", text=""), replace(bare, unit=""), effort)


def _compare_percent(percent: Expr, bare: Expr, effort: Effort) -> bool | None:
    """`50%` is 1/2, and 50 where the sign was left out; but `0.5` or `1` may well mean a share, and is only that."""
    share = same_value(Expr("div", (percent, number(100))), bare, effort)
    value = exact_value(bare)
    if share is False and value is not None and abs(value) > 1:
        return same_value(percent, bare, effort)
    return share


def _compare_decimals(left: Reading, right: Reading, effort: Effort) -> bool:
    """Whether one is a decimal with six places or more, and the other's value rounds to it."""
    for decimal, other in ((left, right), (right, left)):
        if _LONG_DECIMAL.fullmatch(decimal.text) and not _LONG_DECIMAL.fullmatch(other.text):
            assert decimal.tree is not None and other.tree is not None  # noqa: PT018, S101
            value = exact_value(decimal.tree)
            near = real_constant(other.tree, effort)
            if value is None or near is None or abs(value) < _SMALLEST_ROUNDED:
                return False
            return round(value, _ROUNDED_TO) == round(near, _ROUNDED_TO)
    return False


def _in_order(left: Sequence[Reading], right: Sequence[Reading], effort: Effort) -> bool | None:
    if len(left) != len(right):
        return False
    verdicts = [_compare(a, b, effort) for a, b in zip(left, right, strict=True)]
    if False in verdicts:
        return False
    return None if None in verdicts else True


def _in_any_order(left: Sequence[Reading], right: Sequence[Reading], effort: Effort) -> bool | None:
    """Whether each has an equal on the other side; copies count once."""
    if not left or not right:
        return not left and not right
    if len(left) * len(right) > _MOST_COMPARISONS:
        return None
    verdicts = [[_compare(a, b, effort) for b in right] for a in left]
    rows = [*verdicts, *zip(*verdicts, strict=True)]
    if all(True in row for row in rows):
        return True
    return False if any(all(verdict is False for verdict in row) for row in rows) else None


def _compare_tuples(left: Reading, right: Reading, effort: Effort) -> bool | None:
    if all(part.label for part in (*left.parts, *right.parts)):
        return _in_any_order(left.parts, right.parts, effort)
    return _in_order(left.parts, right.parts, effort)


def _compare_sets(left: Reading, right: Reading, effort: Effort) -> bool | None:
    return _in_any_order(left.parts, right.parts, effort)


def _compare_intervals(left: Reading, right: Reading, effort: Effort) -> bool | None:
    if _brackets(left) != _brackets(right):
        return False
    return _in_order(left.parts, right.parts, effort)


def _brackets(interval: Reading) -> str:
    """Brackets at infinite ends are open whatever was written."""
    low, high = ("\\infty" in part.text for part in interval.parts)
    return ("(" if low else interval.marks[0]) + (")" if high else interval.marks[1])


def _compare_texts(left: Reading, right: Reading, effort: Effort) -> bool:
    del effort
    return left.text == right.text


def _compare_parts(left: Reading, right: Reading, effort: Effort) -> bool:
    """No worker reads parts: what is not told here is not equal."""
    return _in_order(left.parts, right.parts, effort) is True


_LIKE_ONLY: dict[Kind, _Rule] = {Kind.TEXT: _compare_texts, Kind.PARTS: _compare_parts}
"""Kinds that are compared with their like only."""
_COMPARE: dict[Kind, _Rule] = {
    Kind.VALUE: _compare_values,
    Kind.TUPLE: _compare_tuples,
    Kind.MATRIX: _compare_tuples,
    Kind.INTERVAL: _compare_intervals,
    Kind.SET: _compare_sets,
    Kind.LIST: _compare_sets,
    Kind.UNION: _compare_sets,
}


def _compare_kinds(left: Reading, right: Reading, effort: Effort) -> bool | None:
    """Answers of different kinds: most differ; some are dress."""
    if any(side.kind is Kind.VALUE and side.tree is None for side in (left, right)):
        return None
    for first, second in ((left, right), (right, left)):
        rule = _ACROSS.get((first.kind, second.kind))
        if rule:
            return rule(first, second, effort)
    return False


def _undecided(left: Reading, right: Reading, effort: Effort) -> None:
    del left, right, effort


def _compare_element(several: Reading, value: Reading, effort: Effort) -> bool | None:
    """A set of one element is that element; `100,200` reads as a number, and as two beside a list of two."""
    numbers = value.text.split(",")
    elements = [read_answer(text) for text in numbers] if len(numbers) == len(several.parts) > 1 else [value]
    return _in_any_order(several.parts, elements, effort)


def _compare_pair(pair: Reading, interval: Reading, effort: Effort) -> bool | None:
    """`(1, 2)` may be a pair or an open interval; beside an interval it is one."""
    if len(pair.parts) != 2 or pair.marks != "()":
        return False
    return _compare_intervals(replace(pair, kind=Kind.INTERVAL), interval, effort)


def _compare_vectors(vector: Reading, matrix: Reading, effort: Effort) -> bool | None:
    rows = matrix.parts
    if len(rows) == 1:
        return _in_order(vector.parts, rows[0].parts, effort)
    if all(len(row.parts) == 1 for row in rows):
        return _in_order(vector.parts, [row.parts[0] for row in rows], effort)
    return False


_ACROSS: dict[tuple[Kind, Kind], _Rule] = {
    (Kind.SET, Kind.LIST): _compare_sets,
    (Kind.TUPLE, Kind.LIST): _compare_tuples,
    (Kind.TUPLE, Kind.INTERVAL): _compare_pair,
    (Kind.TUPLE, Kind.MATRIX): _compare_vectors,
    (Kind.SET, Kind.VALUE): _compare_element,
    (Kind.LIST, Kind.VALUE): _compare_element,
    (Kind.UNION, Kind.INTERVAL): _undecided,
    (Kind.UNION, Kind.LIST): _undecided,
}


def _compare_relations(left: Reading, right: Reading, effort: Effort) -> bool | None:
    """Equations are equal when one is a multiple of the other; what isn't polynomial is not told here."""
    if {left.kind, right.kind} - {Kind.RELATION, Kind.VALUE}:
        return None
    ours, theirs = _difference(left), _difference(right)
    if "!=" in {left.marks, right.marks} and left.marks != right.marks:
        return False
    if ours and theirs:
        if left.marks in {"<", "<="} or right.marks in {"<", "<="}:
            return None if left.marks == right.marks else False
        return proportional(ours, theirs, effort)
    relation, value = (left, right) if left.kind is Kind.RELATION else (right, left)
    if value.kind is Kind.VALUE and relation.marks == "=":
        return _compare_with_quantity(relation, value, effort)
    return None


def _difference(side: Reading) -> Expr | None:
    """Left minus right of an equation or of a value with a name."""
    if side.kind is Kind.RELATION:
        trees = [part.tree for part in side.parts]
    else:
        trees = [parse_expression(side.label), side.tree] if side.label else [None]
    first, last = trees[0], trees[-1]
    return difference(first, last) if first and last else None


def _compare_with_quantity(relation: Reading, value: Reading, effort: Effort) -> bool | None:
    """`x^2 + y^2 = 25` states the value of what was asked for, where the other answer is a number."""
    constants = [part for part in relation.parts if part.tree is not None and not symbols(part.tree)]
    if value.tree is None:
        return None
    return _compare_values(constants[0], value, effort) if len(constants) == 1 and not symbols(value.tree) else False
