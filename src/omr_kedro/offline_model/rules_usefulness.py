"""Votes on a piece of code in a solution: whether it finds something new, and how much work it saves.

Most votes are those of the rule; the seed says which ones dissent, so that a run sees votes that are not unanimous.
"""

from __future__ import annotations

import re
import zlib

VERIFICATION, NOVEL = NOVELTY = ("verification", "novel")
SIGNIFICANCE = ("trivial", "moderate", "significant")
"""The labels of both prompts, the lowest first."""
_NUMBER = re.compile(r"[0-9]++(?:\.[0-9]++)?")
_LOOP = re.compile(r"\b(?:for|while)\b|\b(?:product|combinations|permutations)\(")
_TOOL = re.compile(r"\b(?:solve|expand|factor|integrate|diff|factorint|Matrix|limit|summation|nsolve)\(")
_ONE_DISSENTS = 5
"""Of so many votes."""


def novelty(problem: str, fragment: str, seed: int) -> str:
    """The label of one vote: novel where the output has a number that neither the problem nor the text before has."""
    before, _, output = _parts(fragment)
    new = _numbers(output) - _numbers(problem) - _numbers(before)
    return _voted(NOVELTY, NOVEL if new else VERIFICATION, fragment, seed)


def significance(problem: str, fragment: str, seed: int) -> str:
    """The label of one vote: loops in loops are significant, a loop or a tool of sympy moderate, the rest trivial."""
    del problem
    _, code, _ = _parts(fragment)
    weight = min(2, len(_LOOP.findall(code)) + bool(_TOOL.search(code)))
    return _voted(SIGNIFICANCE, SIGNIFICANCE[weight], fragment, seed)


def _parts(fragment: str) -> tuple[str, str, str]:
    """The text before the code, the code and its output; both are empty where there are no such blocks."""
    before, _, rest = fragment.partition("```python\n")
    code, _, rest = rest.partition("```\n```output\n")
    return before, code, rest.partition("```")[0]


def _numbers(text: str) -> set[str]:
    return set(_NUMBER.findall(text))


def _voted(labels: tuple[str, ...], label: str, fragment: str, seed: int) -> str:
    """The label, or for a dissenting vote the next one."""
    dissents = (zlib.crc32(fragment.encode("utf-8", "replace")) + seed) % _ONE_DISSENTS == 0
    return labels[(labels.index(label) + dissents) % len(labels)]
