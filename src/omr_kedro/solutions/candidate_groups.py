"""Groups of right and wrong candidates of one problem, for a model that selects the best.

The recipe is that of OpenMathReasoning (arXiv 2504.16891), but for what it leaves to chance or gets wrong: at most half
of each group is right (there, of all that it is drawn from), a candidate that is too long is left out (there, its end
is shown), equal texts are one candidate, sets are distinct whatever their order, and every draw follows from the seed,
the problem and the number of the set alone.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omr_kedro.shards import content_id
from omr_kedro.text import normal_form
from omr_kedro.text.boxes import find_boxes, sole_box

_ATTEMPTS = 2
"""Sets that are drawn for each one that is wanted: some are too long, some were drawn before."""


class GroupingRule(BaseModel):
    """Rule by which candidates are put together."""

    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    most_groups: int = Field(default=8, ge=1)
    """Sets of one problem at most."""
    least_candidates: int = Field(default=4, ge=2)
    """Different candidates that a problem must have."""
    most_candidates: int = Field(default=16, ge=2, le=16)
    """Candidates of one group at most."""
    sizes: Literal["truncated_normal", "uniform"] = "truncated_normal"
    """Distribution of the sizes from 2 to the largest that is possible."""
    max_candidate_tokens: int = Field(default=2048, gt=0)
    """Tokens of a candidate at most: those of a summary. Longer ones are left out."""
    max_tokens: int = Field(default=20_000, gt=0)
    """Tokens of all candidates of a group together at most."""
    asked_twice: float = Field(default=0.1, ge=0, le=1)
    """Share of the sets that there are two groups of, in different orders."""

    @model_validator(mode="after")
    def _lets_some_group_pass(self) -> Self:
        if self.max_tokens < 2:
            raise ValueError(f"max_tokens is {self.max_tokens}: no group of two candidates has as few")
        return self


@dataclass(frozen=True, slots=True)
class Candidate:
    """A solution that a model is shown beside others."""

    solution_id: str
    text: str
    answer: str
    correct: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Candidates in the order in which they are shown."""

    problem_id: str
    candidates: tuple[Candidate, ...]
    order: int = 0
    """0 for the first order of the set, 1 for another one."""

    @property
    def group_id(self) -> str:
        """The content id of problem and candidates, in their order."""
        return content_id(self.problem_id, *(each.solution_id for each in self.candidates))

    @property
    def set_id(self) -> str:
        """The same for all orders of these candidates."""
        return content_id("set", self.problem_id, *sorted(each.solution_id for each in self.candidates))


class NoGroupReason(StrEnum):
    """Reasons why a problem gives no group."""

    NO_RIGHT = "no_right"
    NO_WRONG = "no_wrong"
    TOO_FEW = "too_few"
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True)
class NoGroup:
    """The outcome of a problem that gives no group."""

    reason: NoGroupReason
    detail: str


def draw_groups(
    problem_id: str, given: Iterable[Candidate], rule: GroupingRule, count_tokens: Callable[[str], int]
) -> list[Group] | NoGroup:
    """The groups of one problem, whatever the order of its candidates.

    Args:
        problem_id: of the problem.
        given: its solutions and its wrong samples; one that does not end with its only box is no candidate.
        rule: how they are put together.
        count_tokens: tokens of a text.
    """
    given = sorted(given, key=lambda each: each.solution_id)
    boxed = [each for each in given if ends_with_its_only_box(each.text)]
    distinct = without_equals(boxed)
    tokens = {each.solution_id: count_tokens(each.text) for each in distinct}
    short = [each for each in distinct if tokens[each.solution_id] <= rule.max_candidate_tokens]
    detail = _counted(given, boxed, distinct, short)
    if reason := _why_none(short, rule):
        return NoGroup(NoGroupReason.TOO_LONG if _why_none(distinct, rule) is None else reason, detail)
    groups: dict[str, Group] = {}
    for number in range(_ATTEMPTS * rule.most_groups):
        chance = _chance(rule.seed, problem_id, number)
        group = Group(problem_id, _draw(short, rule, chance))
        if sum(tokens[each.solution_id] for each in group.candidates) <= rule.max_tokens:
            groups.setdefault(group.set_id, group)
        if len(groups) == rule.most_groups:
            break
    return list(groups.values()) or NoGroup(NoGroupReason.TOO_LONG, detail)


def ends_with_its_only_box(text: str) -> bool:
    """Whether a text has one box, and no paragraph after that of the box."""
    return sole_box(text) is not None and "\n\n" not in text[find_boxes(text)[0].end :].strip()


def without_equals(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The first of those candidates whose texts differ in dress alone; none of those that were judged both ways."""
    alike = defaultdict[str, list[Candidate]](list)
    for each in candidates:
        alike[normal_form(each.text)].append(each)
    return [same[0] for same in alike.values() if len({each.correct for each in same}) == 1]


def is_asked_twice(group: Group, rule: GroupingRule) -> bool:
    """Whether there is a group of the same set in another order."""
    return _chance(rule.seed, group.set_id, "twice").random() < rule.asked_twice


def in_another_order(group: Group, rule: GroupingRule) -> Group:
    """The same candidates, each at another place."""
    chance = _chance(rule.seed, group.set_id, "order")
    moved = list(group.candidates)
    # Sattolo's algorithm: a cycle through all places, so that none keeps what it has.
    for place in range(len(moved) - 1, 0, -1):
        other = int(chance.random() * place)
        moved[place], moved[other] = moved[other], moved[place]
    return Group(group.problem_id, tuple(moved), order=1)


def _why_none(candidates: Sequence[Candidate], rule: GroupingRule) -> NoGroupReason | None:
    right = sum(each.correct for each in candidates)
    if not right:
        return NoGroupReason.NO_RIGHT
    if right == len(candidates):
        return NoGroupReason.NO_WRONG
    return NoGroupReason.TOO_FEW if len(candidates) < rule.least_candidates else None


def _draw(candidates: Sequence[Candidate], rule: GroupingRule, chance: random.Random) -> tuple[Candidate, ...]:
    """A set of candidates in the order in which they are shown: one right, one wrong, and others as they come."""
    right = _shuffled((each for each in candidates if each.correct), chance)
    wrong = _shuffled((each for each in candidates if not each.correct), chance)
    most = min(rule.most_candidates, len(wrong) + min(len(right), len(wrong)))
    size = draw_size(most, rule, chance.random())
    drawn = [right[0], wrong[0]]
    room_for_right = size // 2 - 1
    for each in _shuffled([*right[1:], *wrong[1:]], chance):
        if len(drawn) == size:
            break
        if not each.correct or room_for_right:
            drawn.append(each)
            room_for_right -= each.correct
    return tuple(_shuffled(drawn, chance))


def draw_size(most: int, rule: GroupingRule, chance: float) -> int:
    """Size of a group, from 2 to `most`.

    The normal distribution has the mean and the deviation of the original's, which takes the integer part of a value up
    to `most`, and so never draws `most`. Here each whole number has half a unit on either side.

    Args:
        most: the largest.
        rule: names the distribution.
        chance: a random number, from 0 to below 1.
    """
    if most == 2:
        return 2
    if rule.sizes == "uniform":
        return 2 + int(chance * (most - 1))
    normal = NormalDist((most + 2) // 2, (most - 2) / 6)
    low, high = normal.cdf(1.5), normal.cdf(most + 0.5)
    return min(most, max(2, round(normal.inv_cdf(min(max(low + chance * (high - low), 1e-12), 1 - 1e-12)))))


def _chance(seed: int, about: str, number: int | str) -> random.Random:
    return random.Random(int(content_id(str(seed), about, str(number)), 16))  # noqa: S311


def _shuffled(items: Iterable[Candidate], chance: random.Random) -> list[Candidate]:
    # By `random()` alone, whose sequence Python keeps from version to version; that of `shuffle` it may change.
    return sorted(items, key=lambda _: chance.random())


def _counted(
    given: Sequence[Candidate], boxed: Sequence[Candidate], distinct: Sequence[Candidate], short: Sequence[Candidate]
) -> str:
    right = sum(each.correct for each in short)
    left_out = {
        "without one box at the end": len(given) - len(boxed),
        "equal to another": len(boxed) - len(distinct),
        "too long": len(distinct) - len(short),
    }
    told = [f"{count} {why}" for why, count in left_out.items() if count]
    return f"{right} right, {len(short) - right} wrong" + (f"; left out: {', '.join(told)}" if told else "")
