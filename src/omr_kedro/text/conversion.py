"""The checkable problem that a model made of a proof problem."""

from __future__ import annotations

import re

from omr_kedro.text.replies import Unreadable, final_text, why_unreadable, without_fences
from omr_kedro.text.statements import after_marker, tidy

_MARKER = re.compile(
    r"""^(?P<lead>[#>*_\-\ \t]*+)
        (?P<kind>(?:the[\ ])?(?:converted|new|rewritten|reformulated|revised|final|equivalent)[\ ])?
        problem(?:[\ ]statement)?+
        (?P<close>[*_]*+[\ \t]*+(?:[:：]|$))""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_AFTERWORD = re.compile(
    r"^[#>*_\- \t]*+(?:(?:the|final|expected) )?(?:answer|solution|explanation|justification|reasoning)"
    r"[*_]{0,3}[ \t]*+(?:[:：]|$)",
    re.IGNORECASE | re.MULTILINE,
)
_NOT = r"(?:not[ -]convertible|can(?:no|['’])t be converted)\b"
_DECLINED_LINE = re.compile(rf"^[^\w\n]*+{_NOT}[^\n]*+$", re.IGNORECASE | re.MULTILINE)
_DECLINED = re.compile(rf"{_DECLINED_LINE.pattern}|\b{_NOT}[^\w\n]*+$", re.IGNORECASE | re.MULTILINE)


def parse_conversion(reply: str) -> str | Unreadable | None:
    """The statement after `Problem:`, or None when the reply says that the problem is not convertible.

    A marker named as the outcome (`Converted problem:`, `New problem:`) is preferred to a plain `Problem:`, which may
    head a copy of the original. Two markers of the same rank, or a statement together with the declaration that there
    is none, are `unparsed`. A part headed `Answer:`, `Solution:` or `Explanation:` is cut off, as it
    gives the answer away.
    """
    text = without_fences(final_text(reply))
    markers = _outcomes(list(_MARKER.finditer(text)))
    if len(markers) > 1:
        return Unreadable("unparsed", f"{len(markers)} problem statements")
    statement = _statement(text, markers[0]) if markers else ""
    declined = _DECLINED.search(text)
    if statement and declined:
        return Unreadable("unparsed", "a statement, and the declaration that there is none")
    if statement:
        return statement
    return None if declined else why_unreadable(text)


def _outcomes(markers: list[re.Match[str]]) -> list[re.Match[str]]:
    return [marker for marker in markers if marker["kind"]] or markers


def _statement(text: str, marker: re.Match[str]) -> str:
    rest = after_marker(marker, text[marker.end() :])
    afterword = _AFTERWORD.search(rest)
    return tidy(_DECLINED_LINE.sub("", rest[: afterword.start()] if afterword else rest))
