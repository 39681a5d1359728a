"""Near-duplicates among many short problems: texts a CPU-second, memory a text, what is found and what is missed.

    python -m benchmarks.near_duplicates [--problems 100000] [--copies 0.2] [--options '{"threshold": 0.8}']

Problems are made of templates as people write them. Of the copies a third is exact, a third in other dress, and a third
has words exchanged or added as a model that rewrites a statement does; as many again are siblings: one number, sign,
letter or decisive word is another one, so that they are other problems.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import time
from collections.abc import Callable
from typing import NamedTuple

import orjson

from benchmarks.results import emit, figure
from omr_kedro.text import Document, NearDuplicateOptions, near_duplicates

OPENINGS = ["Find", "Determine", "Compute", "Calculate", "Evaluate"]
SUBJECTS = [
    "the number of ordered pairs $(x, y)$ of integers with $x^2 + {a}y^2 = {b}$",
    "the remainder when ${a}^{{{b}}}$ is divided by {c}",
    "the sum of all positive divisors of {b} that are greater than {a}",
    "the area of a triangle $ABC$ with $AB = {a}$, $BC = {b}$ and $CA = {c}$",
    "the maximum of ${a}x + {b}y$ where $x$ and $y$ are real numbers with $x^2 + y^2 = {c}$",
    "the probability that a random integer between {a} and {b} is divisible by {c}",
    "the length of the chord that the line $y = {a}x + {b}$ cuts out of the circle $x^2 + y^2 = {c}$",
    "the smallest positive integer $n$ such that $n^2 + {a}n + {b}$ is a multiple of {c}",
    "the coefficient of $x^{{{a}}}$ in the expansion of $(1 + x)^{{{b}}}(1 - x)^{{{c}}}$",
]
CONTEXTS = [
    "",
    "A sequence is given by $a_1 = {d}$ and $a_{{n+1}} = {e}a_n + {f}$ for every positive integer $n$. ",
    "Let $P(x) = x^3 - {d}x^2 + {e}x - {f}$ be a polynomial with real roots $r$, $s$ and $t$. ",
    "Anna has {d} red balls and {e} blue balls, and draws {f} of them without putting any back. ",
    "Let $ABCD$ be a convex quadrilateral whose diagonals meet at $P$, with $AP = {d}$, $BP = {e}$ and $CP = {f}$. ",
]
CLOSINGS = ["", " Give the answer as a reduced fraction.", " Express your answer as an integer."]
REWORDINGS = [
    ("Find", "Determine"),
    ("Compute", "Calculate"),
    ("Determine", "Find the value of"),
    ("Evaluate", "What is"),
    (" with ", " such that "),
    ("is given by", "is defined by"),
    ("for every positive integer", "for all positive integers"),
    ("Let", "Suppose that"),
    ("whose", "where the"),
    (" of them", ""),
    ("where", "if"),
    ("that are", "which are"),
    ("Give", "Write"),
    ("Express", "Give"),
    ("when", "if"),
    ("given by", "defined as"),
    ("a random", "a randomly chosen"),
    ("such that", "for which"),
]
CHANGES = [
    ("positive", "negative"),
    ("maximum", "minimum"),
    ("smallest", "largest"),
    (" + ", " - "),
    ("$BC", "$BD"),
    ("x^", "y^"),
    ("greater", "less"),
    ("sum", "product"),
    ("integers", "rational numbers"),
    ("without", "after"),
    ("chord", "arc"),
    ("divisible", "not divisible"),
]
NUMBER = re.compile(r"\d{2,}")


class Texts(NamedTuple):
    """Problems, and what is true of them: the id of the problem that each copy is one of."""

    documents: list[Document]
    originals: dict[str, str]
    kinds: dict[str, str]


def statement(rng: random.Random) -> str:
    template = rng.choice(CONTEXTS) + rng.choice(OPENINGS) + " " + rng.choice(SUBJECTS) + "." + rng.choice(CLOSINGS)
    return template.format(**{letter: rng.randint(10, 9999) for letter in "abcdef"})


def redressed(rng: random.Random, text: str) -> str:
    return rng.choice([text.replace("$", " $ "), text.replace("$", ""), text.upper(), text.rstrip(".") + " !"])


def reworded(rng: random.Random, text: str) -> str:
    fitting = [pair for pair in REWORDINGS if pair[0] in text]
    for old, new in rng.sample(fitting, min(len(fitting), rng.choice([1, 1, 2]))):
        text = text.replace(old, new, 1)
    return text


def changed(rng: random.Random, text: str) -> str:
    fitting = [pair for pair in CHANGES if pair[0] in text]
    if fitting and rng.random() < 0.5:
        return text.replace(*rng.choice(fitting), 1)
    number = rng.choice(NUMBER.findall(text))
    return text.replace(number, str(int(number) + 1), 1)


def generate(problems: int, copies: float, seed: int = 5) -> Texts:
    rng = random.Random(seed)
    found = Texts([], {}, {})
    rewriters: dict[str, Callable[[random.Random, str], str]] = {
        "exact": lambda _, text: text,
        "redressed": redressed,
        "reworded": reworded,
        "sibling": changed,
    }
    weights = [copies / 3] * 3 + [copies]
    while len(found.documents) < problems:
        text = statement(rng)
        original = f"{len(found.documents):08d}"
        found.documents.append(Document(original, text))
        for (kind, rewrite), weight in zip(rewriters.items(), weights, strict=True):
            if rng.random() < weight:
                name = f"{len(found.documents):08d}"
                found.documents.append(Document(name, rewrite(rng, text)))
                found.originals[name], found.kinds[name] = original, kind
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=100_000)
    parser.add_argument("--copies", type=float, default=0.2)
    parser.add_argument("--options", type=orjson.loads, default={}, help="of NearDuplicateOptions, as JSON")
    given = parser.parse_args()
    options = NearDuplicateOptions(**given.options)
    texts = generate(given.problems, given.copies)
    count = len(texts.documents)
    chars = sum(len(document.text) for document in texts.documents) / count
    before = resource.getrusage(resource.RUSAGE_SELF)
    wall, cpu = time.monotonic(), time.process_time()
    matches = near_duplicates(lambda: texts.documents, options)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{options!r}")
    print(f"{count:,} texts of {chars:.0f} characters: {cpu:.1f} CPU-s, {wall:.1f} s, {count / cpu:,.0f} texts/CPU-s")
    print(f"peak memory: {(after.ru_maxrss - before.ru_maxrss) * 1024 / count:,.0f} bytes a text")
    print(f"found: {len(matches):,}, of them {sum(match.exact for match in matches.values()):,} exact")
    for kind in ("exact", "redressed", "reworded", "sibling"):
        names = [name for name, its_kind in texts.kinds.items() if its_kind == kind]
        joined = sum(name in matches for name in names)
        print(f"  {kind:<10} {joined:>7,} of {len(names):>7,} joined ({joined / max(1, len(names)):.1%})")
    alone = count - len(texts.kinds)
    joined = sum(name not in texts.kinds for name in matches)
    print(f"  originals  {joined:>7,} of {alone:>7,} joined")
    emit([
        figure(f"near-duplicates among {count:,} problems", count / cpu, "texts/CPU-s"),
        figure("peak memory of that", (after.ru_maxrss - before.ru_maxrss) * 1024 / count, "bytes a text"),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
