"""Calls and samples that an episode takes: by those of the stage that have ended, else by what the stage declares.

A rule that stops draws least where samples agree, so that problems with a known answer and those without take other
numbers of samples, and the hard ones, which are drawn most, have the longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from omr_kedro.estimate.figures import ASSUMED, COUNTED, MEASURED
from omr_kedro.estimate.rates import Rate


@dataclass(frozen=True)
class Ended:
    """An episode that has ended."""

    known: bool
    """Whether its row has an answer that is known."""
    calls: int
    tokens: int
    """Of all its replies."""
    samples: int
    """As many as calls, but for samples that are conversations."""


@dataclass
class Draws:
    """The episodes of a stage."""

    usual: float
    """Calls of an episode as the stage declares them."""
    usual_samples: float
    """Samples of an episode as its stop rule expects them."""
    few: int
    """Fewer ended episodes measure nothing."""
    ended: list[Ended] = field(default_factory=list)

    def calls(self, known: bool, at_least: int = 0) -> float:
        """Calls of an episode that has so many already, or will have for certain."""
        measured = [each.calls for each in self.alike(known) if each.calls >= at_least]
        expected = _mean(measured) if self._tell(known) else self.usual
        return max(expected, at_least)

    @property
    def calls_of_sample(self) -> float:
        """Calls of a sample: several where it is a conversation."""
        samples = sum(each.samples for each in self.ended)
        return sum(each.calls for each in self.ended) / samples if samples else self.usual / self.usual_samples

    @property
    def tokens_of_sample(self) -> float | None:
        """Tokens of a sample's replies if as many were drawn of each problem; None where too few have ended."""
        if len(self.ended) < self.few:
            return None
        return _mean([each.tokens / each.samples for each in self.ended])

    def told(self, *, all_ended: bool) -> Rate:
        """Samples of an episode before it begins, and what that rests on.

        Args:
            all_ended: whether there is no other episode, so that they are counted, however few.
        """
        if not self.ended or (not all_ended and len(self.ended) < self.few):
            return Rate(self.usual_samples, ASSUMED, "as the stage declares")
        by = [
            f"{_mean([each.samples for each in alike]):.1f} where the answer is {word} ({len(alike):,} problems)"
            for known, word in ((True, "known"), (False, "not known"))
            if (alike := [each for each in self.ended if each.known is known])
        ]
        kind = COUNTED if all_ended else MEASURED
        return Rate(_mean([each.samples for each in self.ended]), kind, ", ".join(by))

    def alike(self, known: bool) -> list[Ended]:
        """Ended episodes about such rows; all of them where these are too few."""
        own = [each for each in self.ended if each.known is known]
        return own if len(own) >= self.few else self.ended

    def _tell(self, known: bool) -> bool:
        return len(self.alike(known)) >= self.few


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
