"""The posts of a thread as one text that a model can read, within a number of tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import NamedTuple

from omr_kedro.text.quotes import without_quote_tags, without_quotes, without_quotes_as_original
from omr_kedro.text.tokens import TokenCounter

_CUT_MARK = " […]"
_SENTENCE_END = re.compile(r"\n|[.!?…。][)\"'*$\]]*(?=\s)")
# A cut post keeps this many bytes (some 60 tokens, a formula or two) or is left out: less says nothing.
_LEAST_BYTES = 240
_PROBE_BYTES = 8_000
# Characters, some three sentences: to list all sentence ends of a long post, for its last one, costs far more.
_NEAR_END = 500
# English prose has 4 to 5, formulas 2 to 3; a thread of spaces has more, and would be cut though it fits.
_MOST_BYTES_PER_TOKEN = 6


_Numbered = tuple[int, str]
"""A post with its number, as it is fitted."""
_HEADING = re.compile(r"^Post (?P<number>[0-9]{1,6}):[^\S\n]*$", re.MULTILINE)


class Post(NamedTuple):
    """A post of a discussion."""

    number: int
    text: str
    """Without blank space around it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The cut that makes a post fit."""

    post: int
    """Number of the post: 0 for the first post of the thread, then as in `Post k:`."""
    chars: int
    """Characters that it had."""
    kept: int
    """Characters that stayed; 0 when it was left out."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A thread that fits."""

    first: str
    discussion: str
    cuts: tuple[Cut, ...] = ()


def fit_thread(first: str, replies: Sequence[str], limit: int, tokens: TokenCounter) -> Fitted:
    """A thread within `limit` tokens, first post and discussion together.

    Replies lose their quotes; those that hold nothing else are left out, and the others keep their numbers. The first
    post loses the tags alone. Where the thread is too long, the longest posts are cut, all to one length and at the end
    of a sentence or a line, so that short ones stay whole wherever they stand. The first post is cut only when it
    takes more than half of the limit.
    """
    first, cuts = _fit_first(without_quote_tags(first).strip(), limit // 2, tokens)
    posts = [(number, text) for number, reply in enumerate(replies, start=1) if (text := without_quotes(reply).strip())]
    discussion = _joined(posts)
    if discussion.count("\nPost ") >= len(posts):
        # More lines than there are posts, if all of them are such lines.
        posts = [(number, _without_headings(text)) for number, text in posts]
        discussion = _joined(posts)
    if tokens.bound(first) + tokens.bound(discussion) > limit:
        posts, more = _fit_posts(posts, limit - tokens.count(first), tokens)
        discussion = _joined(posts)
        cuts += more
    return Fitted(first, discussion, tuple(cuts))


def join_posts(replies: Sequence[str]) -> str:
    """The discussion of these later posts; lines in them that would begin another post are marked as quoted."""
    return _joined([(number, _without_headings(reply.strip())) for number, reply in enumerate(replies, start=1)])


def join_as_original(replies: Sequence[str], limit: int, tokens: TokenCounter) -> str:
    """The discussion as OpenMathReasoning's `prepare_raw_data.py` makes it, for comparison.

    Its rule: posts without quotes by its own rule, each as a block, until the first whose tokens would carry the sum
    over the limit; that post and all later ones are dropped.
    """
    posts = [(number, without_quotes_as_original(reply).strip()) for number, reply in enumerate(replies, start=1)]
    discussion = _joined(posts)
    # Two line ends were taken off.
    if tokens.bound(discussion) + 2 > limit:
        posts = posts[: _whole([_block(*post) for post in posts], limit, tokens)]
        discussion = _joined(posts)
    return discussion


def split_posts(discussion: str) -> list[Post]:
    """The posts of a discussion, by the lines `Post k:` above them.

    A text without such lines is one post, and a text above the first of them a post with the number 0.

    Whoever wrote the discussion numbered its posts upwards, so numbers that do not rise are a sign that a post holds
    such lines itself. Then the later line counts, and what stands under the lines that it contradicts belongs to the
    post before them: a post that goes on with posts of its own making is found out by the real ones after it. Two
    things cannot be told from the text: lines that continue the count in the very last post, and a line with a small
    number, which joins the posts since that number into one. `fit_thread` lets no such line stand in a post.
    """
    headings: list[re.Match[str]] = []
    for heading in _HEADING.finditer(discussion):
        while headings and int(headings[-1]["number"]) >= int(heading["number"]):
            headings.pop()
        headings.append(heading)
    ends = [heading.start() for heading in headings] + [len(discussion)]
    before = discussion[: ends[0]].strip()
    posts = [Post(0 if headings else 1, before)] if before else []
    for heading, end in zip(headings, ends[1:], strict=True):
        posts.append(Post(int(heading["number"]), discussion[heading.end() : end].strip()))
    return posts


def _without_headings(text: str) -> str:
    """The text of a post, each line in it that would begin another post marked as quoted, as in a mail."""
    return _HEADING.sub(lambda line: f"> {line[0]}", text)


def _block(number: int, text: str) -> str:
    return f"Post {number}:\n{text}\n\n"


def _joined(posts: Sequence[_Numbered]) -> str:
    return "".join(starmap(_block, posts)).strip()


def _whole(blocks: Sequence[str], limit: int, tokens: TokenCounter) -> int:
    """How many blocks from the start fit; tokenizes no more than it must."""
    bounds = [tokens.bound(block) for block in blocks]
    rest = sum(bounds)
    used = 0
    for index, block in enumerate(blocks):
        if used + rest <= limit:
            break
        rest -= bounds[index]
        used += tokens.count(block)
        if used > limit:
            return index
    return len(blocks)


def _fit_first(text: str, limit: int, tokens: TokenCounter) -> tuple[str, list[Cut]]:
    if tokens.bound(text) <= limit or tokens.count(text) <= limit:
        return text, []
    kept = _shorten(text, limit, tokens)
    return kept, [_cut(0, text, kept)]


def _fit_posts(posts: Sequence[_Numbered], room: int, tokens: TokenCounter) -> tuple[list[_Numbered], list[Cut]]:
    blocks = [_block(*post) for post in posts]
    sizes = [len(block.encode()) for block in blocks]
    # Nobody writes texts of so many bytes a token: what is longer need not be counted to be known as too long.
    if sum(sizes) <= room * _MOST_BYTES_PER_TOKEN and _whole(blocks, room, tokens) == len(blocks):
        return list(posts), []
    room_bytes = int(room * _bytes_per_token(blocks, tokens))
    while True:
        fitted, cuts = _cut_to(posts, _common_cap(sizes, room_bytes), room_bytes)
        used = sum(tokens.count(_block(*post)) for post in fitted)
        if used <= room:
            return fitted, cuts
        # How dense the rest was is known now; each round takes off a tenth at least, so this ends.
        room_bytes = min(int(room_bytes * room / used), room_bytes * 9 // 10)


def _bytes_per_token(blocks: Sequence[str], tokens: TokenCounter) -> float:
    """Measured in the middle of all posts: one of another kind does not decide for all, and headings not at all."""
    share = max(200, _PROBE_BYTES // len(blocks))
    probe = "".join(block[len(block) // 2 :][:share] for block in blocks[: _PROBE_BYTES // 200])
    return len(probe.encode()) / tokens.count(probe)


def _common_cap(sizes: Sequence[int], room_bytes: int) -> int:
    """The largest length such that what is no longer, and the rest cut to it, fills the room and no more."""
    left = room_bytes
    for taken, size in enumerate(sorted(sizes)):
        cap = left // (len(sizes) - taken)
        if size > cap:
            return max(cap, _LEAST_BYTES)
        left -= size
    return max(sizes)


def _cut_to(posts: Sequence[tuple[int, str]], cap: int, room_bytes: int) -> tuple[list[tuple[int, str]], list[Cut]]:
    """Posts cut to `cap` bytes; the last ones are left out where even that is too much for `room_bytes`."""
    fitted: list[tuple[int, str]] = []
    cuts: list[Cut] = []
    for number, text in posts:
        kept = cut_at_sentence(text, cap - len(_block(number, "")))
        room_bytes -= len(_block(number, kept).encode())
        if room_bytes < 0:
            cuts.append(Cut(number, len(text), 0))
            continue
        fitted.append((number, kept))
        if kept != text:
            cuts.append(_cut(number, text, kept))
    return fitted, cuts


def _cut(number: int, text: str, kept: str) -> Cut:
    return Cut(number, len(text), len(kept) - len(_CUT_MARK))


def _shorten(text: str, limit: int, tokens: TokenCounter) -> str:
    """The longest beginning that is at most `limit` tokens, but for a tenth or so."""
    size = int(limit * _bytes_per_token([text], tokens))
    while tokens.count(kept := cut_at_sentence(text, size)) > limit:
        size = size * 9 // 10
    return kept


def cut_at_sentence(text: str, size: int) -> str:
    """At most `size` bytes of UTF-8, cut after a sentence or line where one ends in the last half, else at a space.

    A cut text ends in a mark, so that a reader sees that more was said.
    """
    raw = text.encode()
    if len(raw) <= size:
        return text
    start = raw[: max(0, size - len(_CUT_MARK.encode()))].decode(errors="ignore")
    half = len(start) // 2
    stop = _last_sentence_end(start, half)
    if stop is None:
        space = start.rfind(" ", half)
        stop = space if space > 0 else len(start)
    return start[:stop].rstrip() + _CUT_MARK


def _last_sentence_end(text: str, least: int) -> int | None:
    """Where the last sentence or line after `least` ends; looks at the end first, where there nearly always is one."""
    for begin in (max(least, len(text) - _NEAR_END), least):
        ends = [end.end() for end in _SENTENCE_END.finditer(text, begin)]
        if ends:
            return ends[-1]
    return None
