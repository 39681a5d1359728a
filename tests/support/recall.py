"""The recall set: 62 problems of our own that stand for a benchmark, and what people make of them when they post them.

`tests/text/recall_set.jsonl` has a problem a line, with its variants by kind. `near_miss` is another problem of the
same make: it should be retrieved as well, and judged different. No prompt may show any of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from omr_kedro.text import Hit, Retriever, math_tokens
from omr_kedro.text.ngrams import NGramIndex

PATH = Path(__file__).parents[1] / "text" / "recall_set.jsonl"
KINDS = (
    "verbatim", "light_paraphrase", "heavy_paraphrase", "translated_notation", "renumbered", "wrapped", "near_miss",
)  # fmt: skip


class Item(NamedTuple):
    """A text to be searched for, and the place of the problem that it comes from."""

    kind: str
    text: str
    base: int


def bases() -> list[dict[str, str]]:
    """The lines of the set."""
    return [orjson.loads(line) for line in PATH.read_bytes().splitlines()]


def items() -> list[Item]:
    """All variants of all problems."""
    return [
        Item(kind, row["problem" if kind == "verbatim" else kind], place)
        for place, row in enumerate(bases())
        for kind in KINDS
        if kind == "verbatim" or kind in row
    ]


def known() -> list[str]:
    """The stand-in for a benchmark: the problems, at the places that items name, and problems that nobody asked for."""
    return [*(row["problem"] for row in bases()), *dict.fromkeys(_distractors())]


def recall(retriever: Retriever, k: int = 3) -> dict[str, float]:
    """Share of the items of each kind whose problem is among the first `k`."""
    found: dict[str, list[bool]] = defaultdict(list)
    wanted = items()
    for item, hits in zip(wanted, retriever.search([item.text for item in wanted], k), strict=True):
        found[item.kind].append(item.base in {hit.index for hit in hits})
    return {kind: sum(hits) / len(hits) for kind, hits in found.items()}


class NGramRetriever:
    """Shared n-grams alone, as a retriever."""

    def __init__(self, texts: Sequence[str], n: int) -> None:
        self._index = NGramIndex([math_tokens(text) for text in texts], n, min(n, 8))

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """See `Retriever`."""
        found = (self._index.search(math_tokens(query), k) for query in queries)
        return [[Hit(overlap.index, overlap.containment) for overlap in overlaps] for overlaps in found]


def _distractors() -> Iterator[str]:
    """About five hundred problems, of a few makes with many numbers; some are of the makes of the set."""
    for n in range(2, 22):
        yield f"What is the remainder when ${n}^{{{1900 + 7 * n}}}$ is divided by ${n + 45}$?"
        yield f"Find the number of positive divisors of ${n}^{{{n % 5 + 3}}} \\cdot {n + 1}^2$."
        yield f"A fair coin is tossed {n} times. What is the probability of at least {n // 2} heads?"
        yield f"The sides of a triangle are ${n + 4}$, ${n + 5}$ and ${n + 6}$. Find its area."
        yield f"Find all real numbers $x$ such that $x^2 - {n}x + {n - 1} = 0$."
        yield f"Let $a_1 = {n}$ and $a_{{k+1}} = {n % 4 + 2}a_k - 1$. Find $a_{{{n}}}$."
        yield f"Evaluate $\\int_0^{{{n}}} (x^{n % 4 + 2} - {n}x) \\, dx$."
        yield f"A shop sells {n} kinds of bread and {n + 3} kinds of cheese. How many different sandwiches can it make?"
        yield f"Find the sum of the first {n * 10} positive integers that are not divisible by {n}."
        yield f"In how many ways can {n} identical balls be put into {n % 6 + 2} different boxes?"
        yield f"A circle of radius ${n}$ is inscribed in a square. Find the area between them."
        yield f"A car drives {n * 20} km at {n + 50} km/h and returns at {n + 70} km/h. Find its average speed."
        yield f"Solve $\\log_{{{n}}} x + \\log_{{{n}}} (x + {n}) = 2$."
        yield f"How many integers between $1$ and ${n * 100}$ are divisible by ${n}$ but not by ${n + 1}$?"
        yield f"Let $x$ and $y$ be real numbers with $x + y = {n}$ and $xy = {n - 2}$. Compute $x^3 + y^3$."
        yield f"The volume of a sphere is ${n * 36}\\pi$. Find its surface area."
        yield f"A committee of {n % 4 + 2} is chosen from {n + 4} people. In how many ways can this be done?"
        yield f"Find the coefficient of $x^{{{n}}}$ in the expansion of $(1 + 2x)^{{{n + 6}}}$."
        yield f"Find the distance between the point $({n}, {n + 1})$ and the line $3x - 4y = {n}$."
        yield f"Determine the number of trailing zeros of ${n * 37}!$."
        yield f"Find the maximum of $x({n} - x)$ for real $x$."
        yield f"Two dice are rolled. What is the probability that the sum is {n % 11 + 2} or {(n + 3) % 11 + 2}?"
        yield f"A rectangle has perimeter {n * 4} and area {n * n - 1}. Find its sides."
        yield f"Let $f(x) = {n}x + 1$ and $g(x) = x^2 - {n}$. Find $f(g({n % 7}))$."
        yield f"Compute $\\lim_{{x \\to 0}} \\frac{{\\sin {n}x}}{{x}}$."
