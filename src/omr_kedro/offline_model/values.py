"""Answers as they stand in posts: boxed, announced, hidden, or at the end of a short remark."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from omr_kedro.offline_model.forum import hidden, plain
from omr_kedro.offline_model.signs import FORMULA

_LONGEST = 80
_SHORT_POST = 300
_MOST = 100
"""Places of a kind that are looked at in one post, counted from its end."""


class Strength(IntEnum):
    """How plainly a post says that something is its answer."""

    TRAILING = 1
    CLAIMED = 2
    HIDDEN = 3
    ANNOUNCED = 4
    BOXED = 5


class Finding(NamedTuple):
    """A value and how plainly it was given; `name` is what stands left of the equals sign, if anything."""

    value: str
    strength: Strength
    name: str = ""


_BOX = re.compile(r"\\(?:boxed|fbox)\s{0,3}\{")
_ANNOUNCED = re.compile(
    r"\b(?:answer|ans|result|solution)(?: (?:to|of|for) [^\n.:=]{1,30}?)?"
    r"(?: (?:is|comes out (?:as|to)|should be|must be|would be|was)\b|\s?[:=])"
    r"|\b(?:respuesta|réponse|antwort|lösung)(?: (?:es|est|ist)\b|\s?:)",
    re.IGNORECASE,
)
_CLAIMED = re.compile(
    r"\b(?:(?:i|we)(?: also)? (?:get|got|obtain(?:ed)?|found|have)(?= ?[$\\(]?-?[0-9$\\])"
    r"|(?:it's|it is|equals|is equal to|comes out (?:as|to))(?= ?\$?-?[0-9]))",
    re.IGNORECASE,
)
_FILLER = re.compile(r"[\s:=]{0,4}(?:indeed |just |simply |exactly |also |therefore )?", re.IGNORECASE)
_DENIED = re.compile(
    r"\b(?:not|isn't|wasn't|wrong|why|whether|if|think(?:ing)?|thought|was|cannot)\b[^.\n]{0,20}$", re.IGNORECASE
)
_END = re.compile(
    r"[.!?;](?:\s|$)|\n|,?\s(?:because|since|so|as|by|which|and|but|for|if|when|where|using|from|with|after|not|same|right|hence)\b"
    r"|,\s(?=[a-z]{2})|\s\((?=[a-z]{2})|\s[:–—-]\s(?=[a-z]{2})",
    re.IGNORECASE,
)
_START_FORMULA = re.compile(FORMULA)
_WORD_ANSWER = re.compile(
    r"(?:yes|no|none|zero|one|two|three|four|five|six|seven|eight|nine|ten|true|false|infinity|infinitely many|[A-E])",
    re.IGNORECASE,
)
_LONG_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-ZÀ-ÿ]{4,}")
_NAMED = re.compile(
    r"(?P<name>\(?[a-zA-Z](?:[_{}0-9a-zA-Z]{0,4})(?:\s?,\s?[a-zA-Z]){0,5}\)?|[A-Z]{2,4}|[a-z]\([^()=\n]{1,20}\))\s?=\s?(?P<value>[^=]+)"
)
_LAST_VALUE = re.compile(r"(?P<name>(?<![^\s$])[a-zA-Z])?\s?=\s?(?P<value>[^=<>$\n]{1,60})$")


def findings(post: str) -> Iterator[Finding]:
    """All that the post gives as an answer, in its own words: quotations are left out."""
    text = plain(post)
    for raw in boxes(text):
        yield from _finding(raw, Strength.BOXED)
    for pattern, strength in ((_ANNOUNCED, Strength.ANNOUNCED), (_CLAIMED, Strength.CLAIMED)):
        for sentence in _statements(pattern, text):
            yield from _finding(sentence, strength)
    for secret in hidden(post):
        yield from _finding(secret, Strength.HIDDEN)
    if len(text) <= _SHORT_POST:
        yield from _trailing(text)


def boxes(text: str) -> Iterator[str]:
    r"""The insides of `\boxed{…}`, braces paired; a box that is never closed holds nothing."""
    for opener in deque(_BOX.finditer(text), maxlen=_MOST):
        depth = 1
        for position in range(opener.end(), min(len(text), opener.end() + 10 * _LONGEST)):
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                yield text[opener.end() : position]
                break


def read_value(raw: str) -> Finding | None:
    """The value at the start of a text, or None when it starts with talk."""
    text = raw.strip(" \t:*_=").lstrip("\n")
    formula = _START_FORMULA.match(text)
    value = _undressed(formula[0] if formula else _up_to_end(text))
    named = _NAMED.fullmatch(value)
    name, value = (named["name"], named["value"].strip()) if named else ("", value)
    return Finding(value, Strength.TRAILING, name) if _is_value(value) else None


def same(value: str) -> str:
    """Equal for values that differ in dress alone."""
    return re.sub(r"\s|\\(?:left|right|displaystyle)|\\[,;! ]|\$", "", value).replace("\\dfrac", "\\frac").lower()


def _finding(raw: str, strength: Strength) -> Iterator[Finding]:
    found = read_value(raw)
    if found:
        yield found._replace(strength=strength)


def _statements(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    """The text after each place where the pattern announces a value, denials and questions left out."""
    for found in deque(pattern.finditer(text), maxlen=_MOST):
        before = text[max(0, found.start() - 40) : found.start()]
        after = _FILLER.sub("", text[found.end() : found.end() + 4 * _LONGEST], count=1)
        if not _DENIED.search(before) and not _asked(after):
            yield after


def _asked(after: str) -> bool:
    end = re.search(r"[.!?\n](?:\s|$)", after)
    return end is not None and end[0].startswith("?")


def _trailing(text: str) -> Iterator[Finding]:
    last = text.rsplit("\n", 1)[-1].strip().rstrip(".!").strip()
    yield from _finding(last, Strength.TRAILING)
    end = _LAST_VALUE.search(_undressed_end(last))
    if end and _is_value(end["value"]):
        yield Finding(end["value"], Strength.TRAILING, end["name"] or "")


def _undressed_end(line: str) -> str:
    for closer in ("$$", "$", "\\)", "\\]"):
        line = line.removesuffix(closer).rstrip(" .")
    return line


def _up_to_end(text: str) -> str:
    head = text[: 2 * _LONGEST]
    end = _END.search(head)
    return head[: end.start()] if end else head


def _undressed(value: str) -> str:
    text = value.strip().rstrip(".,;:!").strip()
    if _START_FORMULA.fullmatch(text):
        text = text.strip("$").removeprefix("\\[").removesuffix("\\]").removeprefix("\\(").removesuffix("\\)")
    box = next(boxes(text), None)
    return " ".join((box or text).replace("$", "").split()).rstrip(".,")


def _is_value(text: str) -> bool:
    if _WORD_ANSWER.fullmatch(text):
        return True
    has_substance = re.search(r"[0-9∞π]|\\[a-z]+|^[a-zA-Z]$|[a-z]\s?[+*/^-]\s?[a-z]", text) is not None
    closed = text.count("{") == text.count("}")
    return 0 < len(text) <= _LONGEST and has_substance and closed and not _LONG_WORD.search(text)
