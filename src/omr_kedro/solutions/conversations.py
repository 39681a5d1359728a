"""Conversations of a model with a sandbox, as text and as messages: of both wire formats the same.

The text is the single string that OpenMathReasoning publishes: code and output stand in it as blocks. The messages are
what chat templates take: output is a message of its own, so that a trainer can mask it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import orjson

from omr_kedro.solutions.code_blocks import CodeTags, without_block
from omr_kedro.solutions.fragments import Piece

TOOL = "python"
"""Name of the tool that code is a call of."""
_THINK, _THOUGHT = "<think>", "</think>"


def as_text(pieces: Sequence[Piece], tags: CodeTags) -> str:
    """All that was said in one string: reasoning, text, and each piece of code with its output, between tags.

    Args:
        pieces: of the conversation, in its order.
        tags: around code and output, whatever the model wrote itself.
    """
    return "\n".join(filter(None, (part.strip("\n") for part in _parts(pieces, tags))))


def _parts(pieces: Sequence[Piece], tags: CodeTags) -> Iterator[str]:
    for piece, following in zip(pieces, [*pieces[1:], None], strict=False):
        match piece.kind:
            case "code":
                yield f"{tags.begin}\n{piece.text}\n{tags.end}"
            case "output":
                yield tags.output(piece.text)
            case _:
                yield (
                    without_block(piece.text, following.text) if following and following.kind == "code" else piece.text
                )


def as_messages(problem: str, pieces: Sequence[Piece]) -> list[dict[str, Any]]:
    """The conversation as a chat template takes it: every call of the tool has its answer, in a message of its own.

    What a model thinks within its text (up to `</think>`, over several turns) is `reasoning`, and no `content`.

    Args:
        problem: what the user says.
        pieces: of the conversation, in its order.

    Returns:
        Messages with `role`, and `content`, `reasoning`, `tool_calls` (with `arguments` as JSON), `tool_call_id` and
        `name` where they have any.
    """
    messages: list[dict[str, Any]] = [{"role": "user", "content": problem}]
    turns = [list(turn) for _, turn in groupby(pieces, lambda piece: piece.turn)]
    thinks = [any(_THOUGHT in piece.text for piece in turn if piece.kind == "text") for turn in turns]
    last = max((number for number, found in enumerate(thinks) if found), default=-1)
    calls = 0
    for number, turn in enumerate(turns):
        code = [piece.text for piece in turn if piece.kind == "code"]
        messages.append(_said(turn, code, calls, thinking=number < last))
        outputs = [piece.text for piece in turn if piece.kind == "output"]
        for call, output in enumerate(outputs, calls):
            messages.append({"role": "tool", "tool_call_id": f"call_{call}", "name": TOOL, "content": output})
        calls += len(code)
    return messages


def _said(turn: list[Piece], code: list[str], calls: int, thinking: bool) -> dict[str, Any]:
    """One reply of the model.

    Args:
        turn: its pieces.
        code: the code in it.
        calls: calls of the tool before it.
        thinking: whether it is still thinking when the reply ends.
    """
    reasoning = "\n".join(piece.text for piece in turn if piece.kind == "reasoning")
    content = "\n".join(piece.text for piece in turn if piece.kind == "text")
    if code:
        content = without_block(content, code[0])
    before, thought, after = content.rpartition(_THOUGHT)
    if thought or thinking:
        inside, content = (before, after) if thought else (content, "")
        reasoning = "\n".join(filter(None, [reasoning, inside.strip().removeprefix(_THINK).strip()]))
    message: dict[str, Any] = {"role": "assistant", "content": content.strip()}
    if reasoning:
        message["reasoning"] = reasoning
    if code:
        message["tool_calls"] = [_call(number, each) for number, each in enumerate(code, calls)]
    return message


def _call(number: int, code: str) -> dict[str, Any]:
    arguments = orjson.dumps({"code": code}).decode()
    return {"id": f"call_{number}", "type": "function", "function": {"name": TOOL, "arguments": arguments}}
