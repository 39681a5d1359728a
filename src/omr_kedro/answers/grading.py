"""Whether two short answers are equal: a cheap exact ladder first, math-verify in limited workers for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from omr_kedro.answers.comparison import compare
from omr_kedro.answers.grading_workers import Job, Workers
from omr_kedro.answers.readings import MAX_CHARS, read_answer
from omr_kedro.shards import unless_crashed

Pair = tuple[str, str]


class Verdict(StrEnum):
    """Verdicts on two answers."""

    EQUAL = "equal"
    UNEQUAL = "unequal"
    TIMEOUT = "timeout"
    """Not decided within the limit of CPU time: neither equal nor unequal."""
    CRASHED = "crashed"
    """Not decided for want of memory, or because a reader failed on it."""


def grade_cheaply(gold: str, answer: str) -> Verdict | None:
    """The verdict where it costs less than a millisecond, in this process; None where it needs a worker."""
    if gold == answer:
        return Verdict.EQUAL
    same = unless_crashed(lambda _: Verdict.CRASHED, lambda: compare(read_answer(gold), read_answer(answer)))
    if isinstance(same, Verdict):
        return same
    if same is None and len(gold) <= MAX_CHARS and len(answer) <= MAX_CHARS:
        return None
    return Verdict.EQUAL if same else Verdict.UNEQUAL


def grade(pairs: Iterable[Pair], workers: Workers) -> list[Verdict]:
    """The verdict on each pair of a reference and an answer, in their order.

    Equal answers may differ in dress, form and the order of sets; a label (`x =`), a unit or a percent sign may be left
    out. Words are compared as words. Nothing is raised for any text.
    """
    pairs = list(pairs)
    verdicts = {pair: grade_cheaply(*pair) for pair in dict.fromkeys(pairs)}
    hard = [pair for pair, verdict in verdicts.items() if verdict is None]
    verdicts |= dict(zip(hard, map(Verdict, workers.run(_jobs(hard))), strict=True))
    return [verdict for pair in pairs if (verdict := verdicts[pair])]


def _jobs(pairs: Sequence[Pair]) -> list[Job]:
    return [("verify", *pair) for pair in pairs]
