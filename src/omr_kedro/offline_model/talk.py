"""Conversations in which code is run, as the rules see them: turns of the assistant, and the output that each got.

By text, a turn ends in a block of code, behind which stands a block `output`; with a tool, it calls the tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from omr_kedro.llm.calls import Message
from omr_kedro.offline_model.requests import Call
from omr_kedro.offline_model.tokenizer import ASSISTANT

_OUTPUT = re.compile(
    r"^```output\n(?P<output>(?:(?!```)[^\n]*\n)*+)```\n(?:```system\n(?P<notice>[^\n]*)\n```\n)?", re.MULTILINE
)
_LAST = "No more code"


@dataclass(frozen=True, slots=True)
class Tags:
    """Lines around a block of code in text."""

    begin: str
    end: str


FENCED, TOOL_CALL = Tags("```python", "```"), Tags("<tool_call>", "</tool_call>")


@dataclass(slots=True)
class Turn:
    """A turn that was taken."""

    text: str
    """Reasoning and content."""
    outputs: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Talk:
    """Turns so far, and how the next one may have code run."""

    turns: tuple[Turn, ...] = ()
    tags: Tags | None = FENCED
    """Around code in the text; None where a tool takes it."""
    may_run: bool = True
    """Whether more code is run."""


def talk_of(call: Call) -> tuple[list[Message], Talk]:
    """The messages up to the last one of the user, and what was said and run after it."""
    asked = max((n for n, message in enumerate(call.messages, 1) if message["role"] == "user"), default=None)
    turns, may_run = list[Turn](), True
    for message in call.messages[asked:] if asked else []:
        if message["role"] == ASSISTANT:
            told = list(_turns(message))
            turns += [turn for turn, _ in told]
            may_run = not (told and told[-1][1].startswith(_LAST))
        elif message["role"] == "tool":
            turns[-1].outputs.append(message["content"])
    tags = TOOL_CALL if TOOL_CALL.end in call.stop else FENCED
    if call.offers_python:
        return call.messages[:asked], Talk(tuple(turns), None, call.may_call)
    return call.messages[:asked], Talk(tuple(turns), tags, may_run)


def _turns(message: Message) -> Iterator[tuple[Turn, str]]:
    """The turns in a message, each with the notice that it got."""
    text, begin = message.get("reasoning", "") + message["content"], 0
    for block in _OUTPUT.finditer(text):
        yield Turn(text[begin : block.start()], [block["output"]]), block["notice"] or ""
        begin = block.end()
    if text[begin:] or "calls" in message:
        yield Turn(text[begin:]), ""
