r"""Whether two expressions have the same value, for every value of their symbols.

Three ways, the cheapest first; each says None when it cannot tell:

1. Rational functions: exactly, modulo two primes of 61 bits at fixed points. Two short expressions that differ agree
   there with a probability below 1e-15 (Schwartz-Zippel). π and e count as symbols, i as a root of -1.
2. Real constants and functions: to 50 digits, at fixed points where both are real. Short closed forms that differ are
   apart long before the 30th digit.
3. Nothing whose size is not bounded beforehand is computed: such expressions give None.

What has no value, or an infinite one, equals nothing: `1/0`, `\ln 0`, `\frac{x}{x-x}`.
"""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Callable, Iterator
from fractions import Fraction

from omr_kedro.answers.effort import Effort, UndecidedError
from omr_kedro.answers.reals import same_reals
from omr_kedro.answers.trees import INFINITY, Expr, names_in, size

# Both are 1 modulo 4, so that -1 has a root.
_PRIMES = (2305843009213693921, 2305843009213693693)
_ROOTS_OF_MINUS_ONE = tuple(
    next(root for base in range(2, 100) if (root := pow(base, (p - 1) // 4, p)) * root % p == p - 1) for p in _PRIMES
)
_MAX_EXPONENT = 10_000
_MAX_BITS = 5_000
_MAX_FACTORIAL = 300
_MAX_INDEX = 10


def same_value(left: Expr, right: Expr, effort: Effort) -> bool | None:
    """Whether both are equal wherever both are defined; None when this module cannot tell.

    Raises:
        ExhaustedError: it would take more than the effort allows.
    """
    if left == right:
        return True
    if INFINITY in {*names_in(left), *names_in(right)}:
        # Infinity is no number: with it, one half of mathematics would equal the other.
        return False
    try:
        return _same_residues(left, right, effort)
    except UndecidedError:
        pass
    try:
        return same_reals(left, right, effort)
    except UndecidedError:
        return None


def exact_value(tree: Expr) -> Fraction | None:
    """The value of a constant that is made of numbers by arithmetic; None for all else."""
    try:
        return _exact(tree)
    except (UndecidedError, ZeroDivisionError):
        return None


def proportional(left: Expr, right: Expr, effort: Effort) -> bool | None:
    """Whether one rational function is a constant multiple of the other; None when it cannot be told.

    Raises:
        ExhaustedError: it would take more than the effort allows.
    """
    try:
        for p, root in zip(_PRIMES, _ROOTS_OF_MINUS_ONE, strict=True):
            effort.spend(_most_steps(left, right))
            quotients = {
                _residue(left, point, p) * pow(_residue(right, point, p), -1, p) % p
                for point in _residue_points((left, right), p, root)
            }
            if len(quotients) > 1:
                return False
    except (UndecidedError, ValueError, ZeroDivisionError):
        return None
    return True


def _most_steps(left: Expr, right: Expr) -> int:
    """Of an `Effort`, to find the residues of both at two points."""
    return 2 * (size(left) + size(right))


def _same_residues(left: Expr, right: Expr, effort: Effort) -> bool:
    decided = 0
    for p, root in zip(_PRIMES, _ROOTS_OF_MINUS_ONE, strict=True):
        effort.spend(_most_steps(left, right))
        for point in _residue_points((left, right), p, root):
            try:
                values = _residue(left, point, p), _residue(right, point, p)
            except (ValueError, ZeroDivisionError):  # a denominator without an inverse, or zero
                continue
            if values[0] != values[1]:
                return False
            decided += 1
    if not decided:
        raise UndecidedError
    return True


def _residue_points(trees: tuple[Expr, ...], p: int, root: int) -> Iterator[dict[str, int]]:
    names = sorted({name for tree in trees for name in names_in(tree)} - {"i"})
    source = random.Random(p)  # noqa: S311 (fixed points, not secrets)
    for _ in range(2 if names else 1):
        yield {"i": root, **{name: source.randrange(2, p) for name in names}}


def _residue(tree: Expr, point: dict[str, int], p: int) -> int:
    if tree.op == "symbol":
        return point[tree.name]
    if tree.op == "pow":
        return pow(_residue(tree.args[0], point, p), _integer(tree.args[1], _MAX_EXPONENT), p)
    if tree.op in _RESIDUE_OF:
        return _RESIDUE_OF[tree.op]([_residue(arg, point, p) for arg in tree.args], p) % p
    value = _exact(tree)
    return value.numerator * pow(value.denominator, -1, p) % p


_RESIDUE_OF: dict[str, Callable[[list[int], int], int]] = {
    "neg": lambda args, _: -args[0],
    "add": lambda args, _: sum(args),
    "mul": lambda args, _: args[0] * args[1],
    "div": lambda args, p: args[0] * pow(args[1], -1, p),
}


def _integer(tree: Expr, limit: int) -> int:
    value = _exact(tree)
    if value.denominator != 1 or abs(value) > limit:
        raise UndecidedError
    return int(value)


def _exact(tree: Expr) -> Fraction:
    if tree.op == "number":
        return tree.value
    args = tree.args
    if tree.op == "pow":
        base, exponent = _exact(args[0]), _integer(args[1], _MAX_EXPONENT)
        _bounded(base, abs(exponent))
        return base**exponent
    if tree.op == "factorial":
        return Fraction(math.factorial(_natural(args[0], _MAX_FACTORIAL)))
    if tree.op == "root":
        return _exact_root(_exact(args[0]), _integer(args[1], _MAX_INDEX))
    operation = _EXACTLY.get(tree.name if tree.op == "call" else tree.op)
    if operation is None:
        raise UndecidedError
    return _bounded(operation(*map(_exact, args)))


def _bounded(value: Fraction, times: int = 1) -> Fraction:
    if (value.numerator.bit_length() + value.denominator.bit_length()) * times > _MAX_BITS:
        raise UndecidedError
    return value


def _natural(tree: Expr, limit: int) -> int:
    value = _integer(tree, limit)
    if value < 0:
        raise UndecidedError
    return value


def _exact_root(value: Fraction, index: int) -> Fraction:
    if value < 0 or index < 2:
        raise UndecidedError
    roots = [_integer_root(part, index) for part in (value.numerator, value.denominator)]
    return Fraction(*roots)


def _integer_root(value: int, index: int) -> int:
    """The exact root, by Newton's method from above: a dozen steps, where a bisection takes one for each bit."""
    if not value:
        return 0
    root = 1 << (value.bit_length() // index + 1)
    while (closer := ((index - 1) * root + value // root ** (index - 1)) // index) < root:
        root = closer
    if root**index != value:
        raise UndecidedError
    return root


def _exact_binomial(n: Fraction, k: Fraction) -> Fraction:
    if n.denominator != 1 or k.denominator != 1 or not 0 <= k <= n <= _MAX_FACTORIAL:
        raise UndecidedError
    return Fraction(math.comb(int(n), int(k)))


_EXACTLY: dict[str, Callable[..., Fraction]] = {
    "add": lambda *args: sum(args, Fraction(0)),
    "neg": operator.neg,
    "mul": operator.mul,
    "div": operator.truediv,
    "abs": abs,
    "floor": lambda value: Fraction(math.floor(value)),
    "ceil": lambda value: Fraction(math.ceil(value)),
    "binom": _exact_binomial,
}
