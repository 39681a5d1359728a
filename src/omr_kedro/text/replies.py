"""Replies of models on the way to a parser: their final text, or the reason why they hold no result."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Reasoning models open the block in their chat template, so a reply may hold the closing tag alone.
_THOUGHT = re.compile(r"\A.*</think>", re.DOTALL | re.IGNORECASE)
_OPEN_THOUGHT = re.compile(r"<think>.*\Z", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*+```[\w-]*+[ \t]*+(?:\n|\Z)", re.MULTILINE)
_REFUSAL = re.compile(
    r"\b(?:can['’]?t|cannot|can not|won['’]?t|will not|(?:unable|not able) to)(?: \w+)? "
    r"(?:help|assist|comply|fulfil\w*|engage|participate|accommodate|discuss)\b"
    r"|\bsorry, (?:but )?(?:I|we) (?:can['’]?t|cannot|won['’]?t|am (?:unable|not able))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A reply that holds no result.

    `reason` is a short name that tables are grouped by (`empty_reply`, `unparsed`, `refusal`); `detail` is for people.
    """

    reason: str
    detail: str = ""


def final_text(reply: str) -> str:
    r"""The reply without its reasoning block, with `\n` line ends and no surrounding blank space."""
    text = reply.replace("\r\n", "\n").replace("\r", "\n")
    return _OPEN_THOUGHT.sub("", _THOUGHT.sub("", text)).strip()


def without_fences(text: str) -> str:
    """The text without the lines that open or close a code block; what is inside the block stays."""
    return _FENCE.sub("", text)


def why_unreadable(text: str) -> Unreadable:
    """The reason for a final text in which a parser found no result; its opening words are the detail.

    Asked last: a polite apology around a usable result is no refusal.
    """
    if not text.strip():
        return Unreadable("empty_reply")
    opening = " ".join(text[:300].split())
    return Unreadable("refusal" if _REFUSAL.search(opening) else "unparsed", opening[:120])
