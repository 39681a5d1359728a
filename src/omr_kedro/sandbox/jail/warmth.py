"""Mathematics, imported and used once before the first session is forked, so that no session pays for it again."""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import sys

_TYPICAL = """
from sympy import *
x, y = symbols("x y")
k = Symbol("k", integer=True, positive=True)
f = Function("f")
integrate(exp(-x**2), (x, -oo, oo))
integrate(x * sin(x), x)
solve(x**3 - x - 1, x)
solve([x + y - 1, x - y], [x, y])
nsolve(cos(x) - x, 1)
factor(x**4 - 1)
factorint(2**31 + 1)
simplify(sin(x) ** 2 + cos(x) ** 2)
limit(sin(x) / x, x, 0)
series(exp(x), x, 0, 4)
summation(1 / k**2, (k, 1, oo))
Matrix([[1, 2], [3, 4]]).eigenvals()
minimal_polynomial(sqrt(2) + sqrt(3))
diophantine(x**2 - 2 * y**2 - 1)
reduce_inequalities([x**2 < 4], x)
dsolve(f(x).diff(x) - f(x))
Triangle(Point(0, 0), Point(1, 0), Point(0, 1)).area
lambdify(x, x**2)(2)
latex(x**2 / 3)
N(pi, 30)
str(sympify("x + 1"))
"""
_SUBMODULES = {
    "scipy": ("optimize", "integrate", "linalg", "special", "stats", "sparse", "fft"),
    "numpy": ("linalg", "random", "fft"),
    "sympy": ("core.random", "ntheory", "geometry", "combinatorics", "solvers.diophantine"),
}
_ORDINARY = (
    *("cmath", "collections", "copy", "dataclasses", "datetime", "decimal", "fractions", "functools", "heapq"),
    *("itertools", "json", "math", "operator", "random", "re", "statistics", "string", "textwrap", "time", "typing"),
)


def import_mathematics(modules: list[str]) -> list[str]:
    """Import what cells are promised, and do with it what cells do most.

    Returns:
        Those that are not installed.
    """
    missing = []
    for name in _ORDINARY:
        importlib.import_module(name)
    for name in modules:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            missing.append(name)
            continue
        for part in _SUBMODULES.get(name, ()):
            with contextlib.suppress(ImportError):
                importlib.import_module(f"{name}.{part}")
    if "sympy" in sys.modules:
        exec(_TYPICAL, {})  # noqa: S102 (our own text)
    return missing


def seed(value: int) -> None:
    """Begin every stream of random numbers at a place that follows from `value`.

    Generators that a cell makes without a seed, and `os.urandom` as Python calls it, follow from it too.
    """
    stream = random.Random(value)  # noqa: S311 (repeatable is what is wanted)
    seed_itself = random.Random.seed

    def seeded(self: random.Random, a: object = None, version: int = 2) -> None:
        seed_itself(self, stream.getrandbits(64) if a is None else a, version)  # type: ignore[arg-type]

    os.urandom = random._urandom = stream.randbytes  # type: ignore[attr-defined]
    random.Random.seed = seeded  # type: ignore[method-assign]
    random.seed(value)
    if numpy_random := sys.modules.get("numpy.random"):
        numpy_random.seed(value & 0xFFFFFFFF)
    if sympy_random := sys.modules.get("sympy.core.random"):
        sympy_random.seed(value)
