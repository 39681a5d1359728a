"""The mathematics of a statement, in order: it must be the same in two statements of one problem."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from omr_kedro.text.normal import is_operand, math_tokens

_NUMBERS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty"""
_SYNONYMS = {
    "max": "maximum maximal maximize maximise greatest largest biggest highest",
    "min": "minimum minimal minimize minimise smallest lowest",
    "not": "no non never cannot without",
    "less": "fewer",
    "triangle": "\\triangle",
    "angle": "\\angle",
}
# One change among these words makes another problem of almost the same text.
_CONTRASTS = """least most more exactly only even odd positive negative nonnegative nonpositive nonzero prime composite
    square cube rational irrational real complex integer integral sum difference product quotient ratio remainder
    divisor multiple divided multiplied added subtracted root coefficient exponent degree constant derivative limit
    triangle angle rectangle rhombus trapezoid parallelogram pentagon hexagon octagon circle sphere cone cylinder prism
    pyramid tetrahedron chord tangent secant arc sector segment line plane area perimeter volume radius diameter
    circumference surface height length width distance median mean mode altitude bisector inside outside inscribed
    circumscribed interior exterior incenter circumcenter orthocenter centroid incircle circumcircle parallel
    perpendicular increasing decreasing convex concave finite infinite distinct different same unequal other first
    second third last left right row column clockwise counterclockwise half twice double triple hundred thousand
    million some exist neither or sin cos tan cot log ln exp mod gcd lcm true false yes acute obtuse isosceles
    equilateral consecutive alternate permutation combination subset minute hour day week month year percent"""
_WORDS = {
    **{word: word for word in (*_CONTRASTS.split(), *_SYNONYMS)},
    **{word: name for name, words in _SYNONYMS.items() for word in words.split()},
    **{word: str(number) for number, word in enumerate(_NUMBERS.split())},
}
_PUNCTUATION = ',.;:?"`’‘“”&–—…'
# What a copy may as well say in words or leave out.
_COMMANDS = r"""\cdot \ldots \dots \circ \degree \mathbb \mathbf \mathit \mathcal \boldsymbol \bf \rm
    \operatorname \textbf \textit \begin \end \limits \big \bigg \large \item \overline \hspace \vspace"""
# The article, and whoever speaks.
_LETTERS = "ai"
_UNIMPORTANT = {*_PUNCTUATION, *_COMMANDS.split(), *_LETTERS}
# What an apostrophe cuts off: `it's`, `don't`.
_ENDINGS = {"s", "t", "m", "d"}
# Points: a triangle ABC is none of ABD.
_NAME = re.compile(r"\b[A-Z]{2,6}\b")


def decisive_tokens(text: str) -> list[str]:
    """Numbers, variables, signs, commands, and words that turn a problem into another, in order.

    Two texts that differ here are two problems, however alike they are: templates with other numbers, `maximum` for
    `minimum`, `x - 1` for `x + 1`. The reverse does not hold. Numbers up to twenty may be words; braces around a single
    token, hyphens in words and punctuation do not count.
    """
    return [*_decisive(_joined(_without_endings(math_tokens(text)))), *_NAME.findall(text)]


def _without_endings(tokens: Sequence[str]) -> list[str]:
    found: list[str] = []
    for piece in tokens:
        if piece in _ENDINGS and len(found) > 1 and found[-1] in "'’" and _is_word(found[-2]):
            found.pop()
        else:
            found.append(piece)
    return found


def _joined(tokens: Sequence[str]) -> list[str]:
    """`non-negative` as `nonnegative`, other words without their hyphen, `{n}` as `n`."""
    joined: list[str] = []
    for piece in tokens:
        if joined[-2:-1] == ["{"] and piece == "}":
            joined[-2:] = joined[-1:]
        elif joined[-2:] == ["non", "-"] and _is_word(piece):
            joined[-2:] = ["non" + piece]
        elif joined[-1:] == ["-"] and _is_word(piece) and len(joined) > 1 and _is_word(joined[-2]):
            joined[-1] = piece
        else:
            joined.append(piece)
    return joined


def _is_word(piece: str) -> bool:
    return len(piece) > 1 and piece.isalpha()


def _decisive(tokens: Sequence[str]) -> Iterator[str]:
    for before, piece in pairwise(["", *tokens]):
        if piece in "'!":
            # A derivative or a factorial; elsewhere an apostrophe or an exclamation.
            if is_operand(before):
                yield piece
        elif _is_word(piece):
            if word := _WORDS.get(piece) or _WORDS.get(piece.removesuffix("s")):
                yield word
        elif piece not in _UNIMPORTANT:
            yield _WORDS.get(piece, piece)
