"""Errors of what compares answers, as measured on the keys that people have checked; tests measure them again."""

from __future__ import annotations

from typing import NamedTuple


class KeyResult(NamedTuple):
    """A verifier against a key."""

    verifier: str
    key: str
    """File of the key, in the repository of omr_kedro."""
    pairs: int
    equal: int
    """Pairs that are equal, as people say."""
    found: int
    """Equal pairs that it calls equal."""
    wrongly_equal: int
    """Other pairs that it calls equal."""
    wrongly_unequal: int
    """Equal pairs that it calls unequal."""
    undecided: int
    """Pairs that it leaves to the next one."""


GRADING = KeyResult(
    verifier="computation (`answers.grade`)",
    key="tests/answers/grading_key.jsonl",
    pairs=360,
    equal=204,
    found=200,
    wrongly_equal=0,
    wrongly_unequal=4,
    undecided=0,
)
JUDGING = KeyResult(
    verifier="rules that come before the judge model (`solutions.judging`)",
    key="tests/solutions/judging_key.jsonl",
    pairs=352,
    equal=183,
    found=96,
    wrongly_equal=0,
    wrongly_unequal=0,
    undecided=221,
)
