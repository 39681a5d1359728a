"""Quotes in forum posts: `[quote]…[/quote]` and its variants."""

from __future__ import annotations

import re

# Attributes may hold brackets when they are quoted: [quote="user [admin]"]. They are names, dates and addresses: what
# is longer is no tag, and thousands of openers on one line would each be followed to its end.
_TAG = re.compile(
    r"""\[(?: (?P<close>/[ \t]{0,8}quote[ \t]{0,8})
            | quote (?: [ \t]{0,8}=[ \t]{0,8} (?:"[^"\n]{0,200}"|'[^'\n]{0,200}'|[^\]\n]{0,200})
                      | [ \t][^\]\n]{0,200} )? [ \t]{0,8} )\]""",
    re.IGNORECASE | re.VERBOSE,
)
_OPEN, _CLOSE = "[quote", "[/quote]"


def without_quotes(text: str) -> str:
    """The text without what it quotes from others, in one pass.

    A quote reaches from its tag to the closing tag that matches, whatever their case and attributes; quotes inside
    quotes go with them. A tag without a partner is taken out alone: nobody can say how far the quote was meant to
    reach, and what its author wrote is not to be lost.
    """
    if "[" not in text:
        return text
    kept: list[str] = []
    opened: list[int] = []
    """For each open quote, how many pieces were kept when it began."""
    position = 0
    for tag in _TAG.finditer(text):
        kept.append(text[position : tag.start()])
        position = tag.end()
        if not tag["close"]:
            opened.append(len(kept))
        elif opened:
            del kept[opened.pop() :]
    return "".join([*kept, text[position:]])


def without_quote_tags(text: str) -> str:
    """The text with what it quotes, and without the tags. For first posts: there the quote is often the problem."""
    return _TAG.sub("", text)


def without_quotes_as_original(text: str) -> str:
    """The text as OpenMathReasoning's `prepare_raw_data.py` leaves it, for comparison.

    Its rule: take the last `[quote`, cut from there to the first `[/quote]` after it, and begin again; stop when the
    last `[quote` has no `[/quote]` after it. So the first unclosed tag, met from the end, leaves all quotes before it.

    Here in one pass from the end: what was read is a stack, its top the character read last, so that what a cut brings
    together is read as one, as the original does.
    """
    if _OPEN not in text or _CLOSE not in text:
        return text
    read: list[str] = []
    closed: list[int] = []
    """How high the stack was above the end of each closing tag in it."""
    for place in range(len(text) - 1, -1, -1):
        read.append(text[place])
        if text[place] != "[":
            continue
        if _on_top(read, _CLOSE):
            closed.append(len(read) - len(_CLOSE))
        elif _on_top(read, _OPEN):
            if not closed:
                return text[:place] + "".join(reversed(read))
            del read[closed.pop() :]
    return "".join(reversed(read))


def _on_top(read: list[str], word: str) -> bool:
    return read[: -len(word) - 1 : -1] == list(word)
