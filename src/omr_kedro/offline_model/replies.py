"""Replies of the rules, and the bodies of answers that they become in OpenAI's protocol."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from omr_kedro.offline_model import FINGERPRINT, MODEL_NAME, OWNER
from omr_kedro.offline_model.requests import PYTHON, Call
from omr_kedro.offline_model.tokenizer import decode, encode, encode_chat


class Reply(NamedTuple):
    """The answer to a call, before it is shaped as the call wants it."""

    content: str
    reasoning: str = ""
    """In a field of its own; empty where there is none."""
    finish_reason: str = "stop"
    arguments: tuple[str, ...] = ()
    """Of each call of the tool `python`: JSON, or what a model takes for it."""


class _Sent(NamedTuple):
    """A reply as it is sent."""

    reply: Reply
    ids: list[int]
    """All tokens of it, those of a stop word too."""
    stop_reason: str | None


def completion(call: Call, replies: Sequence[Reply], request_id: str) -> dict[str, Any]:
    """The body of an answer: a choice for each reply, shaped and cut as the call wants it."""
    is_chat = call.prompt_ids is None
    sent = [_cut(reply._replace(content=_shaped(reply.content, call)), call) for reply in replies]
    prompt_ids = encode_chat(call.messages) if call.prompt_ids is None else list(call.prompt_ids)
    spent = sum(len(each.ids) for each in sent)
    shape = _chat_choice if is_chat else _text_choice
    ids = {"prompt_token_ids": prompt_ids} if call.wants_ids else {}
    choices = [
        {
            "index": index,
            "finish_reason": each.reply.finish_reason,
            "stop_reason": each.stop_reason,
            "logprobs": None,
            **shape(each.reply, f"{request_id}-{index}"),
            **({"token_ids": each.ids} if call.wants_ids else {}),
            **({} if is_chat else ids),
        }
        for index, each in enumerate(sent)
    ]
    return {
        "id": f"{'chatcmpl' if is_chat else 'cmpl'}-{request_id}",
        "object": "chat.completion" if is_chat else "text_completion",
        "created": int(time.time()),
        "model": MODEL_NAME,
        "choices": choices,
        **(ids if is_chat else {}),
        "usage": {
            "prompt_tokens": len(prompt_ids),
            "completion_tokens": spent,
            "total_tokens": len(prompt_ids) + spent,
        },
        "system_fingerprint": FINGERPRINT,
    }


def models() -> dict[str, Any]:
    """The body of the list of models."""
    return {"object": "list", "data": [{"id": MODEL_NAME, "object": "model", "created": 0, "owned_by": OWNER}]}


def token_ids(text: str) -> dict[str, Any]:
    """The body of the answer to a request for the token ids of a text."""
    ids = encode(text)
    return {"count": len(ids), "tokens": ids}


def _chat_choice(reply: Reply, choice_id: str) -> Mapping[str, Any]:
    """A message; without content it has null in its place, as that of a server whose parser took it all."""
    content = reply.content or (None if reply.reasoning or reply.arguments else "")
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if reply.reasoning:
        message["reasoning_content"] = reply.reasoning
    if not reply.arguments:
        return {"message": message}
    message["tool_calls"] = [
        {"id": f"call-{choice_id}-{number}", "type": "function", "function": {"name": PYTHON, "arguments": arguments}}
        for number, arguments in enumerate(reply.arguments)
    ]
    return {"message": message, "finish_reason": "tool_calls"}


def _text_choice(reply: Reply, choice_id: str) -> Mapping[str, Any]:
    """The text that goes on from a prompt: no parser takes the reasoning out of it."""
    del choice_id
    return {"text": reply.reasoning + reply.content}


def _shaped(text: str, call: Call) -> str:
    """The text as one of the allowed replies: the one that it is, else the first, as a grammar must allow something."""
    if not call.choices:
        return text
    label = text if text in call.choices else call.choices[0]
    return orjson.dumps({"label": label}).decode() if call.as_json else label


def _cut(reply: Reply, call: Call) -> _Sent:
    """The reply up to the first stop word, and as far as the limit of tokens reaches, reasoning first."""
    stops = [(place, word) for word in call.stop if (place := reply.content.find(word)) >= 0]
    place, word = min(stops, default=(len(reply.content), ""))
    whole = reply.content[: place + len(word)]
    ids = encode(reply.reasoning + whole + "".join(reply.arguments))
    if call.max_tokens is not None and len(ids) > call.max_tokens:
        ids = ids[: call.max_tokens]
        told = decode(ids)
        within = len(reply.reasoning)
        return _Sent(Reply(told[within : within + len(whole)], told[:within], "length"), ids, None)
    if not stops:
        return _Sent(reply, ids, None)
    content = whole if call.keeps_stop else whole[:place]
    return _Sent(Reply(content, reply.reasoning), ids, word)
