"""Expressions as real (or, without symbols, complex) numbers to 50 digits, at fixed points."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import cache
from typing import Any

from omr_kedro.answers.trees import CONSTANTS, INFINITY, Expr, names_in

_DIGITS = 50
_CLOSE = 30
"""Digits in which equal values agree; the other twenty are for cancellation."""
_NEAR_WHOLE = 1e-30
_TRIES = 24
_MAX_LOG = 20_000
"""Natural logarithm of the largest number that is computed."""
_MAX_FACTORIAL = 1000

Point = dict[str, Any]


class UndecidedError(Exception):
    """Not a case for this way, or too large for it."""


class _UndefinedError(Exception):
    """No real value at this point."""


def same_reals(left: Expr, right: Expr) -> bool:
    """Whether both agree wherever both are real.

    Raises:
        UndecidedError: too few points where both are real, or numbers too large.
    """
    names = sorted(set(names_in(left)) | set(names_in(right)))
    if INFINITY in names:
        raise UndecidedError
    free = [name for name in names if name not in CONSTANTS]
    if free and "i" in names:
        raise UndecidedError
    in_exponents = {name for tree in (left, right) for name in _names_in_exponents(tree)} & set(free)
    wanted = (8 if in_exponents else 3) if free else 1
    agreed = 0
    for point in _points(free, in_exponents):
        try:
            values = [_value(tree, point, real=bool(free)) for tree in (left, right)]
        except _UndefinedError:
            continue
        if not _close(*values):
            return False
        agreed += 1
        if agreed == wanted:
            return True
    raise UndecidedError


def real_constant(tree: Expr) -> Fraction | None:
    """The value of an expression without free symbols, exact to some 50 digits; None when it has none that is real."""
    if set(names_in(tree)) - {"\\pi", "e"}:
        return None
    try:
        value = +_value(tree, next(_points([], ())), real=True)
    except (UndecidedError, _UndefinedError):
        return None
    sign, mantissa, exponent, _ = value._mpf_
    if abs(exponent) > _MAX_LOG:
        return None
    return Fraction(-int(mantissa) if sign else int(mantissa)) * Fraction(2) ** int(exponent)


def _names_in_exponents(tree: Expr) -> Iterator[str]:
    if tree.op == "pow":
        yield from names_in(tree.args[1])
    if tree.op == "factorial" or tree.name == "binom":
        yield from names_in(tree)
    for arg in tree.args:
        yield from _names_in_exponents(arg)


def _points(free: list[str], whole: Iterable[str]) -> Iterator[Point]:
    """Values of both signs; whole numbers for what stands in an exponent, so that `(-1)^n` is real."""
    context = _context()
    constants = {"\\pi": context.pi, "e": context.e, "i": context.mpc(0, 1)}
    source = random.Random(61)  # noqa: S311 (fixed points, not secrets)
    for _ in range(_TRIES if free else 1):
        point = {}
        for name in free:
            sign = source.choice((-1, 1, 1))
            point[name] = (
                source.randint(4, 29) if name in whole else sign * source.randint(10**8, 10**10) / context.mpf(10**9)
            )
        yield {**constants, **{name: context.mpf(value) for name, value in point.items()}}


def _close(left: Any, right: Any) -> bool:
    scale = max(abs(left), abs(right))
    tolerance = _context().mpf(10) ** -_CLOSE
    if abs(left - right) <= scale * tolerance:
        return True
    if scale < tolerance:
        # Zero, or small beyond telling.
        raise UndecidedError
    return False


@cache
def _context() -> Any:
    from mpmath import MPContext  # noqa: PLC0415 (not needed by most who import this package)

    context = MPContext()
    context.dps = _DIGITS
    return context


def _value(tree: Expr, point: Point, *, real: bool) -> Any:
    context = _context()
    if tree.op == "number":
        return context.mpf(tree.value.numerator) / tree.value.denominator
    if tree.op == "symbol":
        return point[tree.name]
    args = [_value(arg, point, real=real) for arg in tree.args]
    try:
        value = _OPERATIONS[tree.op](tree, args)
    except (ZeroDivisionError, ValueError, OverflowError, KeyError) as error:
        raise _UndefinedError from error
    if isinstance(value, context.mpc) and value.imag == 0:
        value = value.real
    if real and isinstance(value, context.mpc):
        raise _UndefinedError
    return value


def _power(tree: Expr, args: list[Any]) -> Any:
    del tree
    context = _context()
    base, exponent = args
    if base == 0:
        return base if context.re(exponent) > 0 else _undefined()
    if not isinstance(base, context.mpc) and base < 0 and exponent != context.nint(exponent):
        # Several roots; which one is meant is a convention.
        return _undefined()
    if abs(context.log(abs(base)) * abs(exponent)) > _MAX_LOG:
        raise UndecidedError
    return base**exponent


def _root(tree: Expr, args: list[Any]) -> Any:
    del tree
    context = _context()
    radicand, index = args
    if index != int(index) or not 2 <= index <= 100:
        raise UndecidedError
    # The real root of an odd index, as people write it.
    if not isinstance(radicand, context.mpc) and radicand < 0 and int(index) % 2:
        return -context.root(-radicand, int(index))
    return context.root(radicand, int(index))


def _factorial(tree: Expr, args: list[Any]) -> Any:
    del tree
    value = args[0]
    if value != int(value) or value < 0:
        return _undefined()
    if value > _MAX_FACTORIAL:
        raise UndecidedError
    return _context().factorial(int(value))


def _call(tree: Expr, args: list[Any]) -> Any:
    context = _context()
    if tree.name == "log":
        # Books mean base e, 10 or 2; a factor of its own proves nothing that hangs on the choice.
        return context.log(args[0]) / (context.log(args[1]) if len(args) == 2 else context.mpf("1.7320001"))
    if tree.name == "exp" and abs(args[0]) > _MAX_LOG:
        raise UndecidedError
    if tree.name in {"sinh", "cosh", "tanh"} and abs(args[0]) > _MAX_LOG:
        raise UndecidedError
    return _FUNCTIONS[tree.name](context, *args)


def _undefined() -> Any:
    raise _UndefinedError


def _ratio(tree: Expr, args: list[Any]) -> Any:
    del tree
    return args[0] / args[1]


def _real_part_function(name: str) -> Callable[..., Any]:
    def apply(context: Any, value: Any) -> Any:
        if isinstance(value, context.mpc) or 0 < abs(value - context.nint(value)) < _NEAR_WHOLE:
            raise UndecidedError
        return getattr(context, name)(value)

    return apply


def _binomial(context: Any, n: Any, k: Any) -> Any:
    if n != int(n) or k != int(k) or n < 0 or n > _MAX_FACTORIAL:
        raise UndecidedError
    return context.binomial(int(n), int(k))


_OPERATIONS: dict[str, Callable[[Expr, list[Any]], Any]] = {
    "add": lambda _, args: sum(args[1:], args[0]),
    "neg": lambda _, args: -args[0],
    "mul": lambda _, args: args[0] * args[1],
    "div": _ratio,
    "pow": _power,
    "root": _root,
    "factorial": _factorial,
    "call": _call,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{
        name: (lambda context, value, method=method: getattr(context, method)(value))
        for name, method in {
            "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc", "arcsin": "asin",
            "arccos": "acos", "arctan": "atan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "ln": "log",
            "exp": "exp",
        }.items()
    },
    "abs": lambda _, value: abs(value),
    "floor": _real_part_function("floor"),
    "ceil": _real_part_function("ceil"),
    "binom": _binomial,
}  # fmt: skip
