"""Texts with the make and the length of problems, for measurements."""

from __future__ import annotations

import random

WORDS = """
let find the number of all positive integers real triangle circle such that with prove sum product angle side area
probability ball random polynomial root sequence maximum value where each pair digit even odd prime divides
"""
FORMULAS = (
    r"$x^2 + {n}x + {m}$",
    r"$\frac{{{n}}}{{{m}}}$",
    r"$\sqrt{{{n}}}$",
    r"$a_{{{n}}} = {m}$",
    r"$ABC$",
    r"$\log_{{{n}}} x$",
)


def problem(rng: random.Random) -> str:
    """A text with the make and the length of a problem: about 120 tokens, lognormal."""
    parts = []
    for _ in range(max(8, int(rng.lognormvariate(3.9, 0.5)))):
        formula = rng.choice(FORMULAS).format(n=rng.randint(2, 99), m=rng.randint(2, 999))
        parts.append(formula if rng.random() < 0.2 else rng.choice(WORDS.split()))
    return " ".join(parts) + "."
