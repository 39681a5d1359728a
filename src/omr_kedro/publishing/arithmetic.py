"""Chains of plain arithmetic in a text, such as `2 + 3 * 4 = 14`: wrong ones found, long ones taken apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

TOLERANCE = 1e-4
"""Of a result, relative to it (the original's)."""
_NUMBER = r"\d{1,15}(?:\.\d{1,15})?"
_CHAIN = re.compile(
    rf"(?<![\w.^)}}+*/=-])(?<![)}}+*/=-] )(-?{_NUMBER}(?: ?[-+*/] ?{_NUMBER}){{1,20}}) ?= ?(-?{_NUMBER})"
    r"(?![\w^(\\%]| ?[-+*/]|\.\d)"
)
"""Numbers and signs alone on the left, a number on the right; no part of a longer expression on either side."""
_SIGN = re.compile(rf" ?([-+*/]) ?(?={_NUMBER})")


class Chain(NamedTuple):
    """An equation of numbers."""

    start: int
    end: int
    left: str
    right: str


def chains(text: str) -> Iterator[Chain]:
    """The chains of a text, in their order."""
    for found in _CHAIN.finditer(text):
        yield Chain(*found.span(), found[1], found[2])


def is_arithmetic_wrong(text: str) -> bool:
    """Whether some chain's left side is another number than its right side."""
    return any(not _equal(_value(chain.left), float(chain.right)) for chain in chains(text))


def split_arithmetic(text: str) -> str:
    """The text with each chain of several signs taken apart, a step at a time: `2 + 3 * 4 = 2 + 12 = 14`."""
    parts, begin = [], 0
    for chain in chains(text):
        steps = _steps(chain.left)
        if steps and _equal(_value(chain.left), float(chain.right)):
            parts += [text[begin : chain.start], " = ".join([chain.left, *steps, chain.right])]
            begin = chain.end
    return "".join([*parts, text[begin:]])


def _read(left: str) -> tuple[list[float], list[str]]:
    negative = left.startswith("-")
    first, *rest = _SIGN.split(left.removeprefix("-"))
    numbers = [-float(first) if negative else float(first), *map(float, rest[1::2])]
    return numbers, rest[0::2]


def _reduce(numbers: list[float], signs: list[str]) -> tuple[list[float], list[str]]:
    """One step: the first product or quotient, or else the first sum or difference."""
    place = next((n for n, sign in enumerate(signs) if sign in "*/"), 0)
    one, two, sign = numbers[place], numbers[place + 1], signs[place]
    if sign == "/":
        value = one / two if two else float("nan")
    else:
        value = {"*": one * two, "+": one + two, "-": one - two}[sign]
    return [*numbers[:place], value, *numbers[place + 2 :]], signs[:place] + signs[place + 1 :]


def _value(left: str) -> float:
    numbers, signs = _read(left)
    while signs:
        numbers, signs = _reduce(numbers, signs)
    return numbers[0]


def _steps(left: str) -> list[str]:
    numbers, signs = _read(left)
    steps = []
    while len(signs) > 1:
        numbers, signs = _reduce(numbers, signs)
        # A step that cannot be written as it was read, in full, is none.
        if any(float(f"{number:g}") != number or number < 0 for number in numbers):
            return []
        steps.append(f"{numbers[0]:g}" + "".join(f" {s} {n:g}" for s, n in zip(signs, numbers[1:], strict=True)))
    return steps


def _equal(one: float, two: float) -> bool:
    return abs(one - two) <= TOLERANCE * max(abs(one), abs(two), 1e-12)
