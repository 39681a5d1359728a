"""The answers that the posts of a thread state for good: in a box, or after `the answer is`."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable

from omr_kedro.text.boxes import find_boxes
from omr_kedro.text.discussions import split_posts
from omr_kedro.text.final_answer import short_form

_NUMBERED = re.compile(
    r"^[ \t*#\[\]b/-]*(?:(?:problem|question|exercise)[ .#]*)?\(?(?P<number>[1-9])(?:\)|[.:](?!\d))",
    re.IGNORECASE | re.MULTILINE,
)
_QUOTE = re.compile(r"\[(?P<close>/?)quote\b[^\]\n]{0,200}\]", re.IGNORECASE)
_TAG = re.compile(r"\[/?(?:hide|spoiler|b|i|u|size|color|center)\b[^\]\n]{0,100}\]", re.IGNORECASE)
_STATED = re.compile(
    r"\banswer(?: (?:to|for|of) [^.\n:=?]{1,40}?)?\s*"
    r"(?:(?:is|should be|must be|would be|equals|comes out (?:to|as))\b(?: indeed| just| simply| therefore)?|[:=])\s*",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:not|isn['’]?t|wasn['’]?t|wrong|why|whether|if|think|thought|what|your|his|her|book['’]?s?)\b[^.\n]{0,25}$",
    re.IGNORECASE,
)
_DENIAL_AFTER = re.compile(
    r"(?:not|wrong|incorrect|correct|right|in|on|at|the same|same|posted|given|yes|no)\b", re.IGNORECASE
)
_FORMULA = re.compile(r"\$\$?[^$]{1,200}?\$\$?|\\\(.{1,200}?\\\)|\\\[.{1,200}?\\\]", re.DOTALL)
_FORMULAS = re.compile(
    rf"(?:{_FORMULA.pattern})(?:\s*(?:,|and|or|,\s*and|,\s*or)\s*(?:{_FORMULA.pattern})){{0,8}}(?:\s*(?:\\?%|[a-z]{{1,6}}\b(?=[.\n])))?",
    re.DOTALL,
)
_END = re.compile(
    r"[.!?;](?:\s|$)|\n|,?\s(?:because|since|so|as|by|which|but|for|if|when|where|using|from|with|after|not|right|hence|i)\b"
    r"|,\s(?=[a-z]{2})|\s\((?=[a-z]{2})|\s[:–—-]\s(?=[a-z]{2})",
    re.IGNORECASE,
)
_LONGEST = 200
_MOST = 20
"""Statements that are looked at in one post, counted from its end."""


def poses_several(post: str) -> bool:
    """Whether a first post numbers its problems."""
    return {"1", "2"} <= {match["number"] for match in _NUMBERED.finditer(post)}


def posts_of(discussion: str) -> list[str]:
    """The posts of a discussion (see `split_posts`), each without what it quotes of others."""
    return [_without_quotes(post.text) for post in split_posts(discussion) if post.text]


def stated_answers(post: str) -> list[str]:
    """The answers that a post boxes, or else those that it says are the answer; without denials and questions."""
    return boxed_answers(post) or said_answers(post)


def boxed_answers(text: str) -> list[str]:
    """The answers in the last boxes of a text, each once."""
    boxes = deque(find_boxes(text), maxlen=_MOST)
    return _each_once(short_form(text[box.inside : box.end]) for box in boxes if box.end - box.inside <= _LONGEST)


def said_answers(text: str) -> list[str]:
    """The answers that follow `the answer is` and its like in a text, each once; without denials and questions."""
    plain = _TAG.sub(" ", text)
    return _each_once(_value(plain, match) for match in deque(_STATED.finditer(plain), maxlen=_MOST))


def _each_once(answers: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(answer for answer in answers if answer))


def _value(text: str, marker: re.Match[str]) -> str:
    before, after = text[max(0, marker.start() - 50) : marker.start()], text[marker.end() : marker.end() + 2 * _LONGEST]
    if _DENIED.search(before) or _DENIAL_AFTER.match(after) or _is_question(after):
        return ""
    formulas = _FORMULAS.match(after)
    if formulas:
        return short_form(formulas[0])
    end = _END.search(after)
    return short_form(after[: end.start()] if end else after[:_LONGEST])


def _is_question(text: str) -> bool:
    end = re.search(r"[.!?\n](?:\s|$)", text)
    return end is not None and end[0].startswith("?")


def _without_quotes(post: str) -> str:
    """The text outside quotation tags; a tag that is never closed hides nothing."""
    tags = list(_QUOTE.finditer(post))
    pairs, open_tags = [], []
    for tag in tags:
        if not tag["close"]:
            open_tags.append(tag.start())
        elif open_tags:
            pairs.append((open_tags.pop(), tag.end()))
    kept, position = [], 0
    for start, end in sorted(pairs):
        if start >= position:
            kept.append(post[position:start])
            position = end
    return _QUOTE.sub(" ", " ".join([*kept, post[position:]]))
