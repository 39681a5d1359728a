"""When enough samples of a problem were drawn: rounds, a quota of correct ones or a settled majority, and giving up.

Samples are numbered, a round is a run of numbers, and a round is judged only when all of it is there. So the decision
follows from the samples alone: not from their order of arrival, by which short replies would win, and not from the
clock. The samples of any two rules are the same as far as both draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cache, partial
from math import comb
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omr_kedro.solutions.answer_classes import Equal, equal_answers, equal_both_ways
from omr_kedro.solutions.pass_rate import pass_rate, pass_rate_of_first
from omr_kedro.solutions.votes import Sample, Votes, count_votes

HOPEFUL_VOTES = 3
"""Votes without which an answer has no hope when a problem is given up, by far fewer than settle it."""


class StopReason(StrEnum):
    """Why no more samples of a problem are drawn."""

    CORRECT = "correct"
    """The answer is known, and as many samples as wanted have it."""
    SETTLED = "settled"
    """The answer is not known, its majority is settled, and as many samples as wanted have it."""
    SUSPECT_ANSWER = "suspect_answer"
    """The answer is known and no sample has it, while `HOPEFUL_VOTES` or more agree on another one: the answer may be
    wrong. The votes stay beside it; whether they replace it is for a reader of the table to say."""
    NO_MAJORITY = "no_majority"
    """No answer can be relied on: the rounds are used up before one was settled, or when the problem was given up no
    sample had the known answer and none had `HOPEFUL_VOTES`."""
    ROUNDS_USED = "rounds_used"
    """The answer is known, and some samples have it, though fewer than wanted."""
    FIXED = "fixed"
    """The rule draws a fixed number, and they are drawn."""


class StopRule(BaseModel):
    """When enough samples of a problem were drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rounds: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(4, 8, 12, 16, 24, 32), min_length=1)
    """Samples drawn by the end of each round. Few in the first save most, few in the later ones cost time: a problem
    waits for its rounds one after the other."""
    correct: int = Field(default=4, ge=1)
    """Samples with the right answer, known or settled, that are wanted of a problem."""
    give_up_after: int = Field(default=16, ge=1)
    """Tries without hope after which a problem is given up, at the end of their round: none of them correct, or, where
    the answer is not known, no answer with `HOPEFUL_VOTES`. A try is a miss also when it was cut.

    benchmarks/stop_rule.py, simulated: 16 saves 7 % of the tokens of a full draw beside never giving up. The majorities
    that are lost have few votes; of those that the full draw settles they are fewer than 1 in 1,000."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Of the majority, where the answer is not known; see `is_settled`."""
    settled_by: Literal["beta", "anytime"] = "beta"
    """`beta` (Adaptive-Consistency, arXiv 2305.11860) takes 4 votes without one against, 12 with 5 against;
    `anytime` 7 and 18, and its error does not grow with the number of looks."""
    settle_known: bool = False
    """Whether the vote must be settled too where the answer is known. It costs 6 % of the tokens of a full draw; where
    nothing is given up, 99.98 % of known answers then stand beside the majority of the full draw, in place of 96 %
    (benchmarks/stop_rule.py, simulated)."""
    fixed: int | None = Field(default=None, ge=1)
    """Draw so many of every problem, as OpenMathReasoning did (32), and no rule applies."""

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if any(later <= earlier for earlier, later in zip(self.rounds, self.rounds[1:], strict=False)):
            raise ValueError("rounds count all samples drawn by their end, so each is larger than the one before")
        if self.correct > self.rounds[-1]:
            raise ValueError(f"correct: {self.correct} cannot come of the {self.rounds[-1]} samples of all rounds")
        return self

    @property
    def schedule(self) -> tuple[int, ...]:
        """Samples drawn by the end of each round, the last of which is the most."""
        return self.rounds if self.fixed is None else (self.fixed,)

    @property
    def give_up_round(self) -> int | None:
        """Samples drawn by the end of the round in which problems are given up; None where that is no earlier end."""
        return next((drawn for drawn in self.schedule[:-1] if drawn >= self.give_up_after), None)

    @property
    def usual_draws(self) -> int:
        """Samples of a problem that are expected before any is drawn.

        Half of the most, as in benchmarks/stop_rule.py (simulated: 14 to 17 of 32, by the rule).
        """
        return self.fixed if self.fixed is not None else max(self.rounds[0], self.rounds[-1] // 2)

    def next_round(self, drawn: int) -> range:
        """Indices of the samples to draw when so many are there; none when all rounds are drawn.

        Raises:
            ValueError: no round ends with so many samples.
        """
        ends = (0, *self.schedule)
        if drawn not in ends:
            raise ValueError(f"no round ends with {drawn} samples; rounds end with {self.schedule}")
        return range(drawn, next((end for end in ends if end > drawn), drawn))


@dataclass(frozen=True, slots=True)
class Decision:
    """The end of a problem's sampling."""

    stop_reason: StopReason
    votes: Votes
    correct: frozenset[int] | None
    """Indices of the samples with the reference answer, which is the known one or else the majority's; None where
    neither is there."""
    pass_rate: float | None
    """See `pass_rate.pass_rate`; None without a reference answer."""
    pass_rate_first8: float | None
    """Of the first eight samples; None without a reference answer, and where fewer were drawn."""


def decide(
    rule: StopRule,
    samples: Sequence[Sample],
    reference: str | None = None,
    equal: Equal = equal_answers,
    agrees: Equal | None = None,
) -> Decision | None:
    """Whether sampling of a problem ends after the rounds that are complete; None to draw the next one.

    Args:
        rule: when to stop.
        samples: all that were drawn, in any order: those of complete rounds, none missing.
        reference: the known answer; None where there is none, and the majority's takes its place.
        equal: asked for answers of samples, both ways. Classes rest on it, so for one problem it must say the same in
            every round.
        agrees: asked for the reference and the answer of each class, in this order. Verdicts of a judge come in here,
            and not by `equal`, where they would change classes of earlier rounds. By default `equal` both ways.

    Raises:
        ValueError: the samples are not those of complete rounds.
    """
    drawn = len(samples)
    upcoming = rule.next_round(drawn)
    if not samples or {sample.index for sample in samples} != set(range(drawn)):
        raise ValueError(f"rounds of {drawn} samples are the indices 0 to {drawn - 1}, each once")
    votes = count_votes(samples, equal)
    if reference is None:
        reason = _without_answer(rule, votes, last=not upcoming)
        relied_on = [] if reason is StopReason.NO_MAJORITY or votes.majority is None else [votes.majority]
    else:
        agrees = agrees or partial(equal_both_ways, equal=equal)
        relied_on = [each for each in votes.classes if agrees(reference, each.answer)]
        reason = _with_answer(rule, votes, sum(each.votes for each in relied_on), last=not upcoming)
    if reason is None:
        return None
    if reference is None and not relied_on:
        return Decision(reason, votes, None, None, None)
    correct = frozenset(index for each in relied_on for index in each.samples)
    hits = [index in correct for index in range(drawn)]
    quota = None if rule.fixed is not None else rule.correct
    give_up_at = None if reference is None else rule.give_up_round
    return Decision(reason, votes, correct, pass_rate(hits, quota, give_up_at), pass_rate_of_first(hits))


def _with_answer(rule: StopRule, votes: Votes, correct: int, *, last: bool) -> StopReason | None:
    if rule.fixed is not None:
        return StopReason.FIXED
    if correct >= rule.correct and (last or not rule.settle_known or is_settled(rule, *votes.lead)):
        return StopReason.CORRECT
    if not correct and (last or votes.samples_drawn >= rule.give_up_after):
        return StopReason.SUSPECT_ANSWER if votes.lead[0] >= HOPEFUL_VOTES else StopReason.NO_MAJORITY
    return StopReason.ROUNDS_USED if last else None


def _without_answer(rule: StopRule, votes: Votes, *, last: bool) -> StopReason | None:
    if rule.fixed is not None:
        return StopReason.FIXED
    first, second = votes.lead
    if first >= rule.correct and is_settled(rule, first, second):
        return StopReason.SETTLED
    given_up = first < HOPEFUL_VOTES and votes.samples_drawn >= rule.give_up_after
    return StopReason.NO_MAJORITY if last or given_up else None


def is_settled(rule: StopRule, first: int, second: int) -> bool:
    """Whether the answer with most votes will stay first, by the votes of the first and the second answer.

    `beta`: the probability, after these votes and a uniform prior, that of the two the first is the likelier answer.

    `anytime`: an e-value, the likelihood of the votes under a uniform mixture of all odds in favour of the first by
    that under even odds, is at least 1 / (1 - confidence). By Ville's inequality, among problems where the first is not
    the likelier of the two at most a share of 1 - confidence ever gets there, however often one looks. Votes choose
    which two are compared, so with m rivals the bound is m times as large.
    """
    wanted = Fraction(rule.confidence)
    if rule.settled_by == "beta":
        return _belief(first, second) >= wanted
    return _e_value(first, second) * (1 - wanted) >= 1


@cache
def _belief(first: int, second: int) -> Fraction:
    """The mass above 1/2 of Beta(first + 1, second + 1), which is a sum of binomial probabilities."""
    flips = first + second + 1
    return Fraction(sum(comb(flips, heads) for heads in range(first + 1)), 2**flips)


@cache
def _e_value(first: int, second: int) -> Fraction:
    """The mean of p^first (1-p)^second over p uniform between 1/2 and 1, by the same with p = 1/2."""
    votes = first + second
    return Fraction(2 ** (votes + 1), (votes + 1) * comb(votes, first)) * _belief(first, second)
