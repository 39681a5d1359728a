"""Usefulness of code in solutions: votes on each fragment, and the rule that keeps a solution (arXiv 2504.16891).

A judge model votes on each fragment several times: whether it finds something **novel** or verifies what the text knows
already, and how **significant** that is. The labels of a question have an order, and the verdict is the highest label
that more than half of the readable votes reach; so a tie goes to the lower one. A reply that cannot be read is no vote:
it is counted beside the votes, and neither pulls a fragment down nor lifts it. Where too few replies can be read, the
votes decide nothing, and nobody takes that for a no.

(The original asks for unanimity: one reply of eight that ends right behind its label vetoes novelty, one that cannot be
parsed makes a fragment trivial, and one vote for trivial outweighs seven for significant.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

VERIFICATION, NOVEL = NOVELTY = ("verification", "novel")
TRIVIAL, MODERATE, SIGNIFICANT = SIGNIFICANCE = ("trivial", "moderate", "significant")
"""The labels of the prompts `judge_novelty` and `judge_significance`, the lowest first."""
QUESTIONS = {"novelty": NOVELTY, "significance": SIGNIFICANCE}
"""The labels of each question."""


class VotingRule(BaseModel):
    """How many votes there are on a question, and how they decide."""

    model_config = ConfigDict(extra="forbid")

    votes: int = Field(default=8, ge=1, le=64)
    """Votes on a question at most; fewer where more cannot change the verdict."""
    quorum: int = Field(default=4, ge=1)
    """Readable votes below which nothing is decided."""
    majority: float = Field(default=0.5, ge=0.5, lt=1)
    """A verdict needs more than this share of the readable votes."""

    @model_validator(mode="after")
    def _can_decide(self) -> Self:
        if self.quorum > self.votes:
            raise ValueError(f"a quorum of {self.quorum} is out of reach of {self.votes} votes")
        return self


class UsefulnessRule(BaseModel):
    """When a solution is useful: one of the two is enough."""

    model_config = ConfigDict(extra="forbid")

    significant: int = Field(default=1, ge=1)
    """Fragments that are novel and significant, at least."""
    moderate_share: float = Field(default=0.5, ge=0, le=1)
    """Share of the fragments that must be novel and moderate or better: more than this."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The votes on one question about a fragment."""

    labels: tuple[str, ...]
    """The lowest first."""
    votes: tuple[int, ...]
    """For each label."""
    unread: tuple[str, ...] = ()
    """Of each other reply, the reason why it is no vote."""

    @classmethod
    def of(cls, labels: tuple[str, ...], opinions: Iterable[str] = ()) -> Tally:
        """The tally of opinions: labels, or reasons why there is none (`judging.opinion`)."""
        return cls(labels, (0,) * len(labels)).plus(opinions)

    def plus(self, opinions: Iterable[str]) -> Tally:
        """The tally with more opinions."""
        said = list(opinions)
        votes = tuple(count + said.count(label) for label, count in self.named())
        unread = [reason for reason in said if reason not in self.labels]
        return replace(self, votes=votes, unread=(*self.unread, *unread))

    def named(self) -> Iterator[tuple[str, int]]:
        """Each label with its votes."""
        return zip(self.labels, self.votes, strict=True)

    @property
    def readable(self) -> int:
        """Votes that were read."""
        return sum(self.votes)

    @property
    def replies(self) -> int:
        """Replies, read or not."""
        return self.readable + len(self.unread)

    def reaching(self, place: int) -> int:
        """Votes for a label or a higher one."""
        return sum(self.votes[place:])

    def is_tied(self, rule: VotingRule) -> bool:
        """Whether the votes for some label are exactly as many as are not enough."""
        above = range(1, len(self.labels)) if self.readable else ()
        return any(self.reaching(place) == rule.majority * self.readable for place in above)


def verdict(tally: Tally, rule: VotingRule) -> str | None:
    """The label that the votes decide for.

    None where they decide nothing: too few can be read, or those still to come may change it.
    """
    possible = _possible(tally, rule)
    return possible.pop() if len(possible) == 1 else None


def next_votes(tally: Tally, rule: VotingRule) -> int:
    """How many votes to ask for next: as few as can end the matter, so that no vote is asked in vain; 0 at its end."""
    left = rule.votes - tally.replies
    return next((count for count in range(left) if _may_end(tally, count, rule)), max(0, left))


@dataclass(frozen=True, slots=True)
class FragmentVerdict:
    """The two verdicts on a fragment."""

    novelty: str | None
    """None where the votes decide nothing."""
    significance: str | None = None
    """Also None where it is not novel: nobody is asked then."""

    @property
    def undecided(self) -> bool:
        """Whether its worth is open."""
        return self.novelty is None or (self.novelty == NOVEL and self.significance is None)

    def counts_as(self, *labels: str) -> bool:
        """Whether it is novel, and of one of these significances."""
        return self.novelty == NOVEL and self.significance in labels


_BEST, _WORST = FragmentVerdict(NOVEL, SIGNIFICANT), FragmentVerdict(VERIFICATION)


def is_useful(verdicts: Sequence[FragmentVerdict], rule: UsefulnessRule) -> bool | None:
    """Whether a solution is useful by its fragments; None where that hangs on those that are undecided."""
    possible = {
        _is_useful([open_as if each.undecided else each for each in verdicts], rule) for open_as in (_BEST, _WORST)
    }
    return possible.pop() if len(possible) == 1 else None


def _is_useful(verdicts: Sequence[FragmentVerdict], rule: UsefulnessRule) -> bool:
    significant = sum(each.counts_as(SIGNIFICANT) for each in verdicts)
    moderate = sum(each.counts_as(MODERATE, SIGNIFICANT) for each in verdicts)
    return significant >= rule.significant or moderate > rule.moderate_share * len(verdicts)


def _possible(tally: Tally, rule: VotingRule) -> set[str | None]:
    """The verdicts that the votes still to come may lead to: all that they are if it is one, else some of several.

    No votes to come raise a verdict more than those that all go to the highest label, or lower it more than those that
    all go to the lowest; and none leave fewer to be read than those that cannot be read.
    """
    left = max(0, rule.votes - tally.replies)
    extremes = (tally.labels[0], tally.labels[-1], "unread")
    return {_label(tally.plus([opinion] * left), rule) for opinion in extremes}


def _may_end(tally: Tally, count: int, rule: VotingRule) -> bool:
    """Whether so many more votes may end the matter; they do so soonest where all say the same."""
    return any(len(_possible(more, rule)) == 1 for more in _unanimous(tally, count))


def _unanimous(tally: Tally, count: int) -> Iterator[Tally]:
    return (tally.plus([opinion] * count) for opinion in (*tally.labels, "unread"))


def _label(tally: Tally, rule: VotingRule) -> str | None:
    if tally.readable < rule.quorum:
        return None
    places = reversed(range(len(tally.labels)))
    reached = (place for place in places if tally.reaching(place) > rule.majority * tally.readable)
    return tally.labels[next(reached)]
