"""The short final answer that a model found in a discussion."""

from __future__ import annotations

import re
from collections import Counter

from omr_kedro.text import Unreadable, after_marker, final_text, why_unreadable, without_fences
from omr_kedro.text.boxes import sole_box, without_boxes

_VERDICT = re.compile(
    r"""(?P<lead>(?:^|(?<=[.!?;][ ]))[#>*_+•\-`\ \t]*+)
        (?:(?:so|thus|hence|therefore),?[ ])?(?:(?:the|my)[ ])?
        (?:
            (?P<missing>answer[ ](?:(?:is|was)[ ])?not[ ]found\b
                | no[ ]answer[ ](?:(?:is|was)[ ])?(?:found|given|provided)\b)
          | (?:(?:final|correct|extracted|short)[ ])?answer
            (?P<close>[*_]{0,3}(?:[ ]is)?[*_]{0,3}[ ]{0,2}(?:[:：=]|$))
        )""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_MARKED = re.compile(r"[:：=#*_]")
_MISSING_VALUE = re.compile(
    r"(?:n/?a|unknown|(?:the )?(?:answer )?(?:is |was )?not (?:found|given|provided|available|stated)\b.*)",
    re.IGNORECASE | re.DOTALL,
)
_UNCLEAR_VALUE = re.compile(r"none|null|nothing", re.IGNORECASE)
_DELIMITER = re.compile(
    r"""\\(?P<open>[\[(]|begin\b) | \\(?P<close>[\])]|end\b) | \\.
        | (?P<brace>\{) | (?P<unbrace>\}) | (?P<display>\$\$) | (?P<inline>\$)""",
    re.DOTALL | re.VERBOSE,
)
_NEXT_SENTENCE = re.compile(r"\.\s+(?=[A-Z][a-z]+\s)")
_CITATION = re.compile(r"[ ,]{0,3}\((?:(?:see|from|by|as in|per) )?posts? [^()]{0,60}\)[.*]{0,3}\Z", re.IGNORECASE)
_WRAPPERS = (
    ("**", "**"), ("__", "__"), ("*", "*"), ("`", "`"), ('"', '"'), ("“", "”"),
    ("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"),
)  # fmt: skip
_MAX_LINES = 50
_MAX_LAYERS = 20


def parse_answer(reply: str) -> str | Unreadable | None:
    r"""The short form of the answer, or None when the verdict is that the discussion holds no answer.

    - The verdict is the last `Answer:` (`**Final answer:**`, a heading `### Answer`, …) or `Answer not found` that
      starts a line or a sentence; what is quoted inside a sentence does not count. Without one, the only box
      on the last line is taken.
    - The answer is the line after the marker, or as many lines as it takes to close a formula that the line opens.
    - A sentence that follows on the same line is cut off, and so is a citation such as `(see Post 2)`.
    - Boxes, outer math delimiters, markdown and a final full stop are taken off. Words beside a box stay, as in
      `\boxed{1} or \boxed{2}`: no part of what was stated is lost.
    - `Answer: n/a` and `Answer: not found` are None. `Answer: none` is `unparsed`: it may mean that no
      number has the property.
    """
    text = without_fences(final_text(reply))
    verdict = _last_verdict(text)
    if verdict is None:
        boxed = sole_box(text[text.rstrip().rfind("\n") + 1 :])
        return _short_form(boxed or "") or why_unreadable(text)
    if verdict["missing"]:
        return None
    return _read_value(_first_formula(after_marker(verdict, text[verdict.end() :])))


def _last_verdict(text: str) -> re.Match[str] | None:
    """The last marker; the word alone on a line is a heading only when it is dressed as one."""
    found = (match for match in _VERDICT.finditer(text) if match["missing"] or _MARKED.search(match[0]))
    return max(found, key=re.Match.start, default=None)


def short_form(raw: str) -> str:
    """The stated answer, without notes after it, boxes, delimiters, markdown and a final full stop."""
    return _short_form(_without_notes(raw.strip()))


def _read_value(raw: str) -> str | Unreadable | None:
    value = _short_form(_without_notes(raw))
    if _MISSING_VALUE.fullmatch(value):
        return None
    if not value or value.endswith(":") or _UNCLEAR_VALUE.fullmatch(value):
        return Unreadable("unparsed", f"the answer reads {raw.strip()[:100]!r}")
    return value


def _without_notes(line: str) -> str:
    stop = _NEXT_SENTENCE.search(line)
    if stop and _is_closed(line[: stop.start()]):
        line = line[: stop.start()]
    return _CITATION.sub("", line)


def _first_formula(text: str) -> str:
    """The first line with text on it, and the lines after it while a bracket or a formula is open."""
    lines = text.split("\n")[:_MAX_LINES]
    for count in range(1, len(lines) + 1):
        candidate = "\n".join(lines[:count])
        if _is_closed(candidate):
            return candidate
    return lines[0]


def _is_closed(text: str) -> bool:
    counts = Counter(token.lastgroup for token in _DELIMITER.finditer(text))
    depth = counts["open"] + counts["brace"] - counts["close"] - counts["unbrace"]
    return depth <= 0 and counts["display"] % 2 == 0 and counts["inline"] % 2 == 0


def _short_form(value: str) -> str:
    for _ in range(_MAX_LAYERS):
        peeled = _peel(value)
        if peeled == value:
            break
        value = peeled
    return value


def _peel(value: str) -> str:
    """Take off one layer of what surrounds an answer."""
    value = _without_full_stop(_without_stray_marks(" ".join(value.split())))
    for opening, closing in _WRAPPERS:
        if len(value) > len(opening) and value.startswith(opening) and value.endswith(closing):
            inner = value[len(opening) : -len(closing)]
            if opening not in inner and closing not in inner:
                return inner.strip()
    return without_boxes(value)


def _without_stray_marks(value: str) -> str:
    """Drop the half of a pair of marks whose other half stood before the marker, as in `` `Answer: 5` ``."""
    for mark in ("**", "`"):
        if value.count(mark) == 1 and not value.endswith(("^" + mark, "_" + mark)):
            value = value.removeprefix(mark).removesuffix(mark)
    return value


def _without_full_stop(value: str) -> str:
    # `\right.` is half of a pair of brackets, and an ellipsis is part of the answer.
    if not value.endswith(".") or value.endswith(("..", "\\right.")):
        return value
    return value[:-1].rstrip()
