"""Replies of models on the way to a parser: their final text, or the reason why they hold no result."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Reasoning models open the block in their chat template, so a reply may hold the closing tag alone.
_THOUGHT = re.compile(r"\A.*</think>", re.DOTALL | re.IGNORECASE)
_OPEN_THOUGHT = re.compile(r"<think>.*\Z", re.DOTALL | re.IGNORECASE)
_OPENING = re.compile(r"<think>", re.IGNORECASE)
_CLOSING = re.compile(r"</think>", re.IGNORECASE)
_DEBRIS = re.compile(
    r"</?(?:think|thinking|tool_calls?|tool_response|function_call)>|<function="
    r"|<[|｜][^\s<>|｜\\$]{3,60}[|｜]>"
    r"|\{\s*+\"name\"\s*+:\s*+\"\w{1,60}\"\s*+,\s*+\"(?:arguments|parameters)\"\s*+:",
    re.IGNORECASE,
)
"""Marks of reasoning and of calls, special tokens of chat templates (`<|python_tag|>`, `<｜tool▁calls▁begin｜>`), and
the beginning of a call as JSON."""
_CALL_AT_END = re.compile(r"(?:</(?:tool_calls?|function_call|function)>|<tool_calls?>[^<]*+)\Z", re.IGNORECASE)
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


@dataclass(frozen=True, slots=True)
class ReasonedReply:
    r"""A reply in two parts, each without surrounding blank space and with `\n` line ends."""

    reasoning: str
    """Empty where the model gave none."""
    text: str
    """The final text, never empty."""


def split_reasoning(reply: str, reasoning: str | None = None) -> ReasonedReply | Unreadable:
    """The reasoning and the final text of a whole reply, wherever the server has put the reasoning.

    Servers part the two themselves, or leave them in one text with `</think>` between. Their parsers also fail: they
    lose one part, leave marks, or take the end of the reasoning for a call of a tool. Such a reply, and one with
    several blocks, is `unparsed_reply`; nobody knows which of its text is the solution.

    Args:
        reply: the content of the message.
        reasoning: the part that the server has taken out of it, if any.
    """
    text, thought = _with_plain_lines(reply), _with_plain_lines(reasoning or "")
    if not thought:
        thought, text = _opening_thought(text)
    if not text:
        return _unparsed("nothing but reasoning") if thought else Unreadable("empty_reply")
    if debris := _DEBRIS.search(text) or _CALL_AT_END.search(thought):
        return _unparsed(f"{debris[0][:40]} is left in it")
    return ReasonedReply(thought, text)


def _opening_thought(text: str) -> tuple[str, str]:
    """The text before the first closing tag, and the rest; a block that never ends is all of the text."""
    opened = _OPENING.match(text)
    thought, *rest = _CLOSING.split(text[opened.end() if opened else 0 :], maxsplit=1)
    if not rest:
        return (thought.strip(), "") if opened else ("", text)
    return thought.strip(), rest[0].strip()


def _unparsed(detail: str) -> Unreadable:
    return Unreadable("unparsed_reply", detail)


def final_text(reply: str) -> str:
    r"""The reply without its reasoning block, with `\n` line ends and no surrounding blank space."""
    return _OPEN_THOUGHT.sub("", _THOUGHT.sub("", _with_plain_lines(reply))).strip()


def _with_plain_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


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
