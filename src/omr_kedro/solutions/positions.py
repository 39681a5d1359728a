"""Choices by the position of the candidate: whether a judge chooses solutions, or places.

A judge that looks at solutions chooses right ones wherever they stand, and chooses the same solution when it is asked
about the same candidates in another order. One that always says 1 does neither, and half of what it says may still be
right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

_FEW = 10
"""Sets asked twice, below which their agreement says nothing."""
_POOR = 0.5
"""Agreement below which a judge is told of: it goes by the order as often as by the solutions."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A comparison, as far as positions go."""

    set_id: str
    order: int
    solution_ids: tuple[str, ...]
    correct: tuple[bool, ...]
    chosen: int | None
    """From 0; None where it is unclear."""


@dataclass(slots=True)
class PositionCounts:
    """Counts of one position, or of all."""

    shown: int = 0
    """Candidates that stood there."""
    right: int = 0
    """Right ones among them."""
    chosen: int = 0
    by_chance: float = 0.0
    """How often it would have been chosen by a judge that draws one at random."""
    chosen_right: int = 0
    asked_twice: int = 0
    """Sets with two clear choices of which the first fell on this position."""
    agreed: int = 0
    """Those of them whose second choice was the same solution."""


@dataclass
class PositionTally:
    """Counts by position."""

    counts: dict[int, PositionCounts] = field(default_factory=dict)
    """By position, from 1."""

    def add(self, choices: Iterable[Choice]) -> None:
        """Count choices in any order, both orders of a set among them."""
        halves: dict[str, tuple[int, int, str]] = {}
        for choice in choices:
            self._add(choice, halves)

    def total(self) -> PositionCounts:
        """The sum over all positions."""
        total = PositionCounts()
        for counts in self.counts.values():
            for name in PositionCounts.__dataclass_fields__:
                setattr(total, name, getattr(total, name) + getattr(counts, name))
        return total

    def _add(self, choice: Choice, halves: dict[str, tuple[int, int, str]]) -> None:
        """Count a choice; `halves` are order, place and solution of those whose set's other order is to come."""
        clear = choice.chosen is not None
        for place, correct in enumerate(choice.correct):
            counts = self._at(place)
            counts.shown += 1
            counts.right += correct
            counts.by_chance += clear / len(choice.correct)
        if choice.chosen is None:
            return
        counts = self._at(choice.chosen)
        counts.chosen += 1
        counts.chosen_right += choice.correct[choice.chosen]
        half = (choice.order, choice.chosen, choice.solution_ids[choice.chosen])
        if other := halves.pop(choice.set_id, None):
            (_, place, first), (_, _, second) = sorted([half, other])
            twice = self._at(place)
            twice.asked_twice += 1
            twice.agreed += first == second
        else:
            halves[choice.set_id] = half

    def _at(self, place: int) -> PositionCounts:
        return self.counts.setdefault(place + 1, PositionCounts())


def told_of_agreement(asked_twice: int, agreed: int) -> str:
    """A sentence on a judge that goes by the order; empty where nothing is to be told.

    Args:
        asked_twice: sets with a clear choice in each of two orders.
        agreed: those of them in which it was the same solution.
    """
    if asked_twice < _FEW or agreed >= _POOR * asked_twice:
        return ""
    return (
        f"of {asked_twice:,} sets of candidates that were asked about in two orders, {agreed:,} had the same solution "
        f"chosen ({agreed / asked_twice:.0%}): the judge goes by the order more than by the solutions"
    )
