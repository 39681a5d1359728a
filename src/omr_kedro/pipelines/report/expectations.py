"""Stages that keep far less than they should: counts of a run beside the shares that the examples show.

Rule
    A stage is told when it dropped, or failed, more of its rows than its expected share and the tolerance explain: when
    the exact one-sided binomial test gives that many, or more, a probability below `chance`. With few rows no count is
    that improbable. With the defaults, a stage that is expected to keep everything may lose three rows of three
    quietly, and not four of four; one that is expected to drop half of its rows, 16 of 16, and not 17 of 17.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, lgamma, log
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class Expectations(BaseModel):
    """The section `expectations` of the parameters: shares of rows that stages do not keep, and what is still usual."""

    model_config = ConfigDict(extra="forbid")

    dropped: dict[str, Share] = {}
    """Expected share of a stage's rows that it drops; 0 for a stage that is not named."""
    failed: dict[str, Share] = {}
    """Expected share of a stage's rows that fail; 0 for a stage that is not named."""
    tolerance: Share = 0.25
    """Added to an expected share of dropped rows: inputs and models differ."""
    failed_tolerance: Share = 0.05
    """The same for failed rows."""
    chance: float = Field(default=0.01, gt=0, lt=1)
    """A count that is less probable than this is told."""


@dataclass(frozen=True)
class StageCounts:
    """Rows of one stage by their outcome."""

    stage: str
    unit: str
    rows_in: int
    dropped: int
    failed: int

    @property
    def kept(self) -> int:
        """Rows that went on."""
        return self.rows_in - self.dropped - self.failed


def surprises(counts: StageCounts, expected: Expectations) -> Iterator[str]:
    """A sentence for each count of a stage that its expected share does not explain."""
    usual = expected.dropped.get(counts.stage, 0.0)
    tests = [
        ("dropped", counts.dropped, usual, expected.tolerance),
        ("failed", counts.failed, expected.failed.get(counts.stage, 0.0), expected.failed_tolerance),
    ]
    for verb, number, share, tolerance in tests:
        if tail(number, counts.rows_in, min(share + tolerance, 1.0)) < expected.chance:
            shares = f"{number / counts.rows_in:.0%}; {share:.0%} was expected"
            nothing = "" if counts.kept else " and kept nothing"
            yield f"{counts.stage} {verb} {number:,} of {counts.rows_in:,} {counts.unit}s ({shares}){nothing}"


def tail(successes: int, trials: int, probability: float) -> float:
    """Probability that so many or more of independent trials succeed (exact binomial, upper tail)."""
    if successes <= trials * probability:
        return 1.0  # Surprises nobody; also where the probability is 1, or where there were no trials.
    if probability <= 0:
        return 0.0
    term = exp(_log_term(successes, trials, probability))
    total, number = 0.0, successes
    while term > total * 1e-16 and number <= trials:
        total += term
        term *= (trials - number) / (number + 1) * probability / (1 - probability)
        number += 1
    return min(total, 1.0)


def _log_term(successes: int, trials: int, probability: float) -> float:
    ways = lgamma(trials + 1) - lgamma(successes + 1) - lgamma(trials - successes + 1)
    return ways + successes * log(probability) + (trials - successes) * log(1 - probability)
