"""Forum posts made plain: quotations and markup out, mathematics left alone.

Every pattern here and in the rules takes time linear in the text. Blocks are paired with a stack, as a pattern for
`[quote]…[/quote]` would scan to the end of a post once for each opener that nobody closed.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

FIGURE = "[figure]"
"""The words that stand for a picture."""

_PICTURE_BLOCKS = ("img", "asy", "attach", "attachment", "geogebra")
_HIDING_BLOCKS = ("hide", "spoiler")
_PICTURES = re.compile(r"!\[[^\[\]\n]{0,200}\]\([^()\s]{1,500}\)|<img\b[^<>]{0,500}>", re.IGNORECASE)
_BBCODE = re.compile(
    r"\[/?(?:b|i|u|s|color|colour|size|font|center|left|right|url|code|list|\*|hide|spoiler|tt|sub|sup|math|tex|latex"
    r"|email|quote|img|asy|attach|attachment|table|tr|td)(?:=[^\[\]\n]{0,300})?\]",
    re.IGNORECASE,
)
_HTML = re.compile(
    r"</?(?:b|i|u|em|strong|p|div|span|font|a|ul|ol|li|think)(?:\s[^<>=\n]{0,40}=[^<>\n]{0,300})?>", re.IGNORECASE
)
_LINE_BREAK = re.compile(r"<br\s{0,3}/?>", re.IGNORECASE)
_RAISED = re.compile(r"<(?P<kind>su[pb])>(?P<inside>[^<>\n]{0,200})</(?P=kind)>", re.IGNORECASE)
_BLANKS = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n{3,}")


class Block(NamedTuple):
    """Where a tag's block lies, tags included, and where its inside does."""

    start: int
    end: int
    inside: slice


def blocks(text: str, name: str) -> list[Block]:
    """The outermost closed blocks of a tag, in order; an opener or closer without its partner makes none."""
    openers: list[re.Match[str]] = []
    found: list[Block] = []
    for tag in _tag(name).finditer(text):
        if not tag["closes"]:
            openers.append(tag)
        elif openers:
            opener = openers.pop()
            while found and found[-1].start > opener.start():
                found.pop()
            found.append(Block(opener.start(), tag.end(), slice(opener.end(), tag.start())))
    return found


def without_blocks(text: str, name: str, instead: str = "\n") -> str:
    """The text with each block of a tag replaced."""
    return "".join(_around(text, blocks(text, name), instead))


def plain(post: str) -> str:
    """The post's own words, without quotations and markup; a picture becomes `[figure]`."""
    text = html.unescape(post).replace("\r\n", "\n").replace("\r", "\n")
    text = _LINE_BREAK.sub("\n", without_blocks(text, "quote"))
    for name in _PICTURE_BLOCKS:
        text = without_blocks(text, name, f" {FIGURE} ")
    text = _RAISED.sub(_script, _PICTURES.sub(f" {FIGURE} ", text))
    return tidy(_HTML.sub("", _BBCODE.sub("", text)))


def hidden(post: str) -> list[str]:
    """The text that the post's spoilers hide, made plain; quoted spoilers are another's."""
    own = without_blocks(post, "quote")
    return [plain(own[block.inside]) for name in _HIDING_BLOCKS for block in blocks(own, name)]


def unspoiled(post: str) -> str:
    """The post without its spoilers; all of it where there is nothing else, as some hide the question too."""
    text = post
    for name in _HIDING_BLOCKS:
        text = without_blocks(text, name)
    return text if text.strip() else post


def tidy(text: str) -> str:
    """The text with single blanks, at most one empty line at a time, and nothing around it."""
    lines = (line.strip() for line in _BLANKS.sub(" ", text).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


@cache
def _tag(name: str) -> re.Pattern[str]:
    return re.compile(rf"\[(?P<closes>/?){re.escape(name)}(?:[=\s:][^\[\]\n]{{0,300}})?\]", re.IGNORECASE)


def _around(text: str, cut: list[Block], instead: str) -> Iterator[str]:
    position = 0
    for block in cut:
        yield text[position : block.start]
        yield instead
        position = block.end
    yield text[position:]


def _script(found: re.Match[str]) -> str:
    sign = "^" if found["kind"].lower() == "sup" else "_"
    return f"{sign}{{{found['inside']}}}"
