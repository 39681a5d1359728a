"""Expressions as real (or, without symbols, complex) numbers to 50 digits, at fixed points."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import cache
from typing import Any

from omr_kedro.answers.effort import Effort, UndecidedError
from omr_kedro.answers.trees import CONSTANTS, Expr, names_in, size

_DIGITS = 50
_CLOSE = 30
"""Digits in which equal values agree; the other twenty are for cancellation."""
_NEAR_WHOLE = 1e-30
_TRIES = 24
_MAX_LOG = 20_000
"""Natural logarithm of the largest number that is computed."""
_MAX_MAGNITUDE = 30_000
"""Its binary logarithm, with some room; from any part of a number to a whole one takes as many bits."""
_MAX_ANGLE = 1e15
"""Of larger ones too few digits are behind the point to tell anything of a sine."""
_MAX_FACTORIAL = 1000
_STEPS_OF_A_NODE = 10
"""Of an `Effort`: a function to 50 digits takes some 30 µs."""

Point = dict[str, Any]


class _UndefinedError(Exception):
    """No real value at this point."""


class _InfiniteError(_UndefinedError):
    """No value at all at this point, real or not: a pole."""


def same_reals(left: Expr, right: Expr, effort: Effort) -> bool:
    """Whether both agree wherever both are real. What has a pole wherever it is tried equals nothing.

    Raises:
        UndecidedError: too few points where both are real, or numbers too large.
        ExhaustedError: more points than the effort allows.
    """
    names = sorted(set(names_in(left)) | set(names_in(right)))
    free = [name for name in names if name not in CONSTANTS]
    if free and any(_is_pole(tree, effort) for tree in (left, right)):
        return False
    if free and "i" in names:
        raise UndecidedError
    in_exponents = {name for tree in (left, right) for name in _names_in_exponents(tree)} & set(free)
    wanted = (8 if in_exponents else 3) if free else 1
    steps = _STEPS_OF_A_NODE * (size(left) + size(right))
    agreed = 0
    only_poles = True
    for point in _points(free, in_exponents):
        effort.spend(steps)
        try:
            values = [_value(tree, point, real=bool(free)) for tree in (left, right)]
        except _UndefinedError as error:
            only_poles &= isinstance(error, _InfiniteError)
            continue
        only_poles = False
        if not _close(*values):
            return False
        agreed += 1
        if agreed == wanted:
            return True
    if only_poles:
        return False
    raise UndecidedError


def _is_pole(tree: Expr, effort: Effort) -> bool:
    """Whether a constant has no value, real or not."""
    if set(names_in(tree)) - CONSTANTS:
        return False
    effort.spend(_STEPS_OF_A_NODE * size(tree))
    try:
        _value(tree, next(_points([], ())), real=False)
    except _UndefinedError as error:
        return isinstance(error, _InfiniteError)
    except UndecidedError:
        return False
    return False


def real_constant(tree: Expr, effort: Effort) -> Fraction | None:
    """The value of an expression without free symbols, exact to some 50 digits; None when it has none that is real.

    Raises:
        ExhaustedError: it would take more than the effort allows.
    """
    effort.spend(_STEPS_OF_A_NODE * size(tree))
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
    except ZeroDivisionError as error:
        raise _InfiniteError from error
    except (ValueError, OverflowError) as error:
        raise _UndefinedError from error
    except (KeyError, TypeError) as error:
        # An operation that is not known here, or not for complex numbers.
        raise UndecidedError from error
    if not context.isfinite(value):
        raise _InfiniteError
    if value and abs(context.mag(value)) > _MAX_MAGNITUDE:
        raise UndecidedError
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
        if context.re(exponent) > 0:
            return base
        raise _InfiniteError if exponent < 0 else _UndefinedError
    if not _is_complex(base) and base < 0 and _whole(exponent) is None:
        # Several roots; which one is meant is a convention.
        raise _UndefinedError
    if abs(context.log(abs(base)) * abs(exponent)) > _MAX_LOG:
        raise UndecidedError
    return base**exponent


def _root(tree: Expr, args: list[Any]) -> Any:
    del tree
    context = _context()
    radicand, index = args
    degree = _whole(index)
    if degree is None or not 2 <= degree <= 100:
        raise UndecidedError
    # The real root of an odd index, as people write it.
    if not _is_complex(radicand) and radicand < 0 and degree % 2:
        return -context.root(-radicand, degree)
    return context.root(radicand, degree)


def _factorial(tree: Expr, args: list[Any]) -> Any:
    del tree
    value = args[0]
    whole = _whole(value)
    if _is_complex(value) or (whole is not None and whole > _MAX_FACTORIAL):
        raise UndecidedError
    if whole is None or whole < 0:
        raise _UndefinedError
    return _context().factorial(whole)


def _call(tree: Expr, args: list[Any]) -> Any:
    context = _context()
    if tree.name == "log":
        # Books mean base e, 10 or 2; a factor of its own proves nothing that hangs on the choice.
        if 0 in args:
            raise _InfiniteError
        return context.log(args[0]) / (context.log(args[1]) if len(args) == 2 else context.mpf("1.7320001"))
    if tree.name in {"exp", "sinh", "cosh", "tanh"} and abs(args[0]) > _MAX_LOG:
        raise UndecidedError
    if tree.name in _OF_ANGLES and (abs(args[0]) > _MAX_ANGLE or abs(context.im(args[0])) > _MAX_LOG):
        raise UndecidedError
    return _FUNCTIONS[tree.name](context, *args)


def _is_complex(value: Any) -> bool:
    return isinstance(value, _context().mpc)


def _whole(value: Any) -> int | None:
    """The value as an integer; None where it is none."""
    return None if _is_complex(value) or value != _context().nint(value) else int(value)


def _ratio(tree: Expr, args: list[Any]) -> Any:
    del tree
    return args[0] / args[1]


def _real_part_function(name: str) -> Callable[..., Any]:
    def apply(context: Any, value: Any) -> Any:
        if _is_complex(value) or 0 < abs(value - context.nint(value)) < _NEAR_WHOLE:
            raise UndecidedError
        return getattr(context, name)(value)

    return apply


def _binomial(context: Any, n: Any, k: Any) -> Any:
    top, bottom = _whole(n), _whole(k)
    if top is None or bottom is None or not 0 <= bottom <= top <= _MAX_FACTORIAL:
        raise UndecidedError
    return context.binomial(top, bottom)


_OF_ANGLES = frozenset({"sin", "cos", "tan", "cot", "sec", "csc"})
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
