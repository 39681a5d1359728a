"""The answer that a discussion gives to a problem. Nothing is solved here: what nobody wrote is not found."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from omr_kedro.offline_model.forum import without_blocks
from omr_kedro.offline_model.numbering import Item, part_of, remarks
from omr_kedro.offline_model.rules_extract import candidates
from omr_kedro.offline_model.values import Finding, Strength, findings, same
from omr_kedro.text.discussions import Post, split_posts

MISSING = "Answer not found."

_BEGINNING = 2000
_NOTHING = re.compile(r"none|null|nothing", re.IGNORECASE)
"""A remark that states no value, though it stands where one would."""
_WORD = re.compile(r"[^\W_]+")


class Vote(NamedTuple):
    """The answer of one post."""

    post: int
    finding: Finding


class Asked(NamedTuple):
    """The problem as it stands in the first post."""

    problem: str
    number: int
    statements: dict[int, str]
    """The beginnings of all problems of the post, in the form in which names are looked up."""


def extract_answer(problem: str, forum_post: str, forum_discussions: str) -> str:
    """The reply of the stage: which posts were used, then the answer or that there is none."""
    asked = _asked(problem, candidates(forum_post))
    votes = [vote for post in split_posts(forum_discussions) if (vote := _vote(post, asked))]
    if not votes:
        return f"No post states an answer to this problem.\n{MISSING}"
    winners, others = _elect(votes)
    return f"{_reasoning(winners, others)}\nAnswer: {winners[-1].finding.value}"


def _asked(problem: str, items: Sequence[Item]) -> Asked:
    """Find the item that shares most words with the problem; its number is what replies refer to."""
    words = set(_WORD.findall(problem.lower()))

    def shared(item: Item) -> float:
        theirs = set(_WORD.findall(item.text.lower()))
        return len(words & theirs) / (1 + len(words | theirs))

    statements = {item.number: same(item.text[:_BEGINNING]) for item in items}
    return Asked(same(problem[:_BEGINNING]), max(items, key=shared).number, statements)


def _vote(post: Post, asked: Asked) -> Vote | None:
    """The plainest answer of a post to the problem; of equally plain ones the last."""
    if len(asked.statements) == 1:
        return _plainest(post.number, [found for found in findings(post.text) if not _is_aside(found, asked)])
    text = without_blocks(post.text, "quote")
    parts = remarks(_bare(text)).items
    if parts:
        return _plainest(post.number, list(findings(part_of(parts, asked.number))))
    return _plainest(post.number, [found for found in findings(text) if _belongs(found, asked)])


def _is_aside(found: Finding, asked: Asked) -> bool:
    """Whether a remark gives the value of something that the problem does not mention."""
    return found.strength <= Strength.CLAIMED and same(found.name) not in asked.problem


def _plainest(post: int, found: Sequence[Finding]) -> Vote | None:
    plainest = max(reversed(found), key=lambda finding: finding.strength, default=None)
    return Vote(post, plainest) if plainest and not _NOTHING.fullmatch(plainest.value.strip()) else None


def _bare(text: str) -> str:
    """The text without the tags that may stand before an item's number."""
    return re.sub(r"\[/?(?:hide|spoiler|b|i|u)(?:=[^\[\]\n]{0,100})?\]", "\n", text, flags=re.IGNORECASE)


def _belongs(found: Finding, asked: Asked) -> bool:
    """Whether a value without a number can only be this problem's: what it names stands in no other."""
    name = same(found.name)
    return len(name) > 1 and [n for n, text in asked.statements.items() if name in text] == [asked.number]


def _elect(votes: Sequence[Vote]) -> tuple[list[Vote], list[Vote]]:
    """The votes for the value that most posts give, and the others; a tie goes to the latest plain statement."""
    groups: defaultdict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        groups[same(vote.finding.value)].append(vote)
    best = max(groups, key=lambda value: _weight(groups[value]))
    return groups[best], [vote for vote in votes if same(vote.finding.value) != best]


def _weight(group: Sequence[Vote]) -> tuple[int, bool, int]:
    plain = [vote.post for vote in group if vote.finding.strength >= Strength.ANNOUNCED]
    return len(group), bool(plain), max(plain or [vote.post for vote in group])


def _reasoning(winners: Sequence[Vote], others: Sequence[Vote]) -> str:
    story = f"{_named(winners)} {'gives' if len(winners) == 1 else 'give'} the same value"
    if len(winners) == 1:
        story = f"{_named(winners)} states a value ({_manner(winners[0])})"
    return f"{story}; {_named(others)} had another." if others else f"{story}."


def _named(votes: Iterable[Vote]) -> str:
    numbers = ", ".join(str(vote.post) for vote in votes)
    return f"{'Posts' if ',' in numbers else 'Post'} {numbers}"


def _manner(vote: Vote) -> str:
    return vote.finding.strength.name.lower()
