"""Forum threads in any number, each with problems and a discussion that the offline rules understand."""

from __future__ import annotations

import random
from typing import Any

_KINDS = (
    "Find the value of ${a}x + {b}$ when $x = {c}$.",
    "Prove that ${a}n^2 + {b}n$ is divisible by ${c}$ for every integer $n$.",
    "Which number is larger? (A) ${a}$ (B) ${b}$ (C) ${c}$ (D) $0$",
    "Is it true that ${a}^{b} > {c}$?",
    "1. Compute ${a} + {b}$.\n\n2. Find all integers $n$ with ${a} < n < {c}$.",
    "Hi all, any tips for contest number {a} in May? Thanks!",
)


def make_threads(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """`count` different threads."""
    rng = random.Random(seed)
    return [_thread(rng, number) for number in range(count)]


def _thread(rng: random.Random, number: int) -> dict[str, Any]:
    values = {"a": number + 2, "b": rng.randint(2, 99), "c": rng.randint(2, 99)}
    post = rng.choice(_KINDS)
    for name, value in values.items():
        post = post.replace("{" + name + "}", str(value))
    answer = f"Post 1:\nThe answer is ${rng.randint(1, 500)}$.\n\nPost 2:\nI agree." if rng.random() < 0.7 else ""
    return {"forum_post": post, "forum_discussions": answer}
