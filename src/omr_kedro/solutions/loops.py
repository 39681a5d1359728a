"""Replies that run in circles, told after the fact by how few of their word 8-grams are new.

A server ends exact loops itself (vLLM's `repetition_detection`), where it is asked to and can; this finds the rest, in
any reply.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from zlib import crc32

LOOPING = 0.02
"""Share of new 8-grams, below which a text is a loop; texts of both sides are in tests/solutions/test_loops.py."""
_GRAM = 8
_WINDOW = 1_000
"""Grams, some 4,000 characters of mathematics."""
_SAID_BEFORE = 2
"""Times that a gram may stand before and be new still: a solution that is written out again at the end is no loop."""
_REMEMBERED = 1 << 16
"""Grams that are surely remembered; up to twice as many are."""
_TOKEN = re.compile(r"[^\W\d_]{1,40}|\d{1,20}|\S")
_MODULUS = (1 << 61) - 1
_BASE = 1_000_003
_LEAVING = pow(_BASE, _GRAM, _MODULUS)


def is_looping(text: str, threshold: float = LOOPING) -> bool:
    """Whether some stretch of the text says hardly anything for the first time."""
    return least_new_share(text) < threshold


def least_new_share(text: str, window: int = _WINDOW) -> float:
    """The smallest share of new 8-grams in any `window` of them in a row, 0 to 1; a shorter text is one window.

    A gram is eight words, numbers or signs in a row. It is new the first and the second time, as far as the last 65,536
    different ones are remembered; so a reply is a loop from the third round on. Linear in the length of the text.

    Numbers count as they are, for a loop that counts up as it goes on looks like a table of cases; and a table of a
    thousand zeros, or of `W` and `L`, looks like a loop.
    """
    recent: deque[bool] = deque()
    new = least = 0
    for is_new in _novelty(text):
        recent.append(is_new)
        new += is_new
        if len(recent) <= window:
            least = new
        else:
            new -= recent.popleft()
            least = min(least, new)
    return least / len(recent) if recent else 1.0


def _novelty(text: str) -> Iterator[bool]:
    """Whether each gram is new, in the order of the text."""
    older: dict[int, int] = {}
    latest: dict[int, int] = {}
    for gram in _grams(text):
        said = latest.get(gram) or older.get(gram, 0)
        yield said < _SAID_BEFORE
        latest[gram] = said + 1
        if len(latest) >= _REMEMBERED:
            older, latest = latest, {}


def _grams(text: str) -> Iterator[int]:
    """A number of 61 bits for each gram, the same in every process."""
    words: deque[int] = deque([0] * _GRAM)
    value = 0
    for count, token in enumerate(_TOKEN.finditer(text), 1):
        word = crc32(token[0].encode("utf-8", "surrogatepass")) + 1
        words.append(word)
        value = (value * _BASE + word - words.popleft() * _LEAVING) % _MODULUS
        if count >= _GRAM:
            yield value
