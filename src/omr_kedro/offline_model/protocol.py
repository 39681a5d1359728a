"""The OpenAI chat protocol: a request read and checked, a reply or an error written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from omr_kedro.llm.calls import Message
from omr_kedro.offline_model import FINGERPRINT, MODEL_NAME, OWNER

_CHARACTERS_PER_TOKEN = 4
_MOST_CHOICES = 128
_LIMITS = ("max_completion_tokens", "max_tokens")


class ApiError(Exception):
    """A request that cannot be answered, in the terms of the API."""

    def __init__(
        self, message: str, param: str | None = None, status: int = 400, kind: str = "BadRequestError"
    ) -> None:
        super().__init__(message)
        self.param = param
        self.status = status
        self.kind = kind

    def body(self) -> dict[str, Any]:
        """The JSON that OpenAI's clients turn into an exception."""
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.status}}


class Reply(NamedTuple):
    """The answer to a call, before it is shaped as the call wants it."""

    content: str
    reasoning: str = ""
    """In a field of its own; empty where there is none."""
    finish_reason: str = "stop"


@dataclass(frozen=True, slots=True)
class Call:
    """The question that the server is asked."""

    messages: list[Message]
    max_tokens: int | None
    n: int
    seed: int
    """Of the first choice; 0 where none is given. Choice i is drawn with seed + i, as vLLM does."""
    stop: tuple[str, ...]
    choices: tuple[str, ...]
    """The only replies allowed; empty for free text."""
    as_json: bool
    """Whether the choice is wanted as `{"label": …}`."""


def read_call(body: Any) -> Call:
    """Check a request body.

    Raises:
        ApiError: naming the field that is wrong.
    """
    if not isinstance(body, Mapping):
        raise ApiError("the body must be a JSON object")
    _check_model(body.get("model"))
    if body.get("stream"):
        raise ApiError("this server does not stream; leave 'stream' out or false", "stream")
    for name in ("temperature", "top_p", "seed"):
        _check_number(body, name)
    formatted, structured = _format_labels(body.get("response_format")), _choice_labels(body.get("structured_outputs"))
    return Call(
        messages=_messages(body.get("messages")),
        max_tokens=next((limit for name in _LIMITS if (limit := _count(body, name))), None),
        n=_count(body, "n", _MOST_CHOICES) or 1,
        seed=int(body.get("seed") or 0),
        stop=_stop(body.get("stop")),
        choices=formatted or structured,
        as_json=bool(formatted),
    )


def completion(call: Call, replies: Sequence[Reply], request_id: str) -> dict[str, Any]:
    """The body of an answer: a choice for each reply, shaped and cut as the call wants it."""
    choices = [_choice(index, reply, call) for index, reply in enumerate(replies)]
    prompt_tokens = sum(tokens(message["content"]) for message in call.messages)
    spent = sum(tokens(_all_text(choice["message"])) for choice in choices)
    return {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL_NAME,
        "choices": choices,
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": spent, "total_tokens": prompt_tokens + spent},
        "system_fingerprint": FINGERPRINT,
    }


def _choice(index: int, reply: Reply, call: Call) -> dict[str, Any]:
    """One choice; a message without content has null in its place, as that of a server whose parser took it all."""
    reply = _cut(reply._replace(content=_shaped(reply.content, call)), call)
    content = reply.content or (None if reply.reasoning else "")
    reasoning = {"reasoning_content": reply.reasoning} if reply.reasoning else {}
    message = {"role": "assistant", "content": content, **reasoning}
    return {"index": index, "message": message, "finish_reason": reply.finish_reason, "logprobs": None}


def _all_text(message: Mapping[str, Any]) -> str:
    return str(message.get("reasoning_content") or "") + str(message["content"] or "")


def models() -> dict[str, Any]:
    """The body of the list of models."""
    return {"object": "list", "data": [{"id": MODEL_NAME, "object": "model", "created": 0, "owned_by": OWNER}]}


def tokens(text: str) -> int:
    """About how many tokens a text has; there is no tokenizer here."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def _check_model(model: Any) -> None:
    if model not in (None, MODEL_NAME):
        message = f"The model `{model}` does not exist. The only one here is `{MODEL_NAME}`."
        raise ApiError(message, "model", 404, "NotFoundError")


def _check_number(body: Mapping[str, Any], name: str) -> None:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ApiError(f"'{name}' must be a number", name)


def _count(body: Mapping[str, Any], name: str, most: int | None = None) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1 or (most and value > most):
        raise ApiError(f"'{name}' must be a whole number from 1" + (f" to {most}" if most else ""), name)
    return value


def _messages(value: Any) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise ApiError("'messages' must be a list of at least one message", "messages")
    return [_message(entry) for entry in value]


def _message(entry: Any) -> Message:
    if isinstance(entry, Mapping) and isinstance(role := entry.get("role"), str):
        content = _text(entry.get("content"))
        if content is not None:
            return {"role": role, "content": content}
    raise ApiError("each of 'messages' needs a 'role' and a text 'content'", "messages")


def _text(content: Any) -> str | None:
    """The text of a message, which may come in parts; None where it is anything else."""
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []
    return "".join(map(str, parts)) if parts and all(isinstance(part, str) for part in parts) else None


def _stop(value: Any) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value or []
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ApiError("'stop' must be text or a list of texts", "stop")
    return tuple(word for word in words if word)


def _format_labels(value: Any) -> tuple[str, ...]:
    """The labels of `response_format`: a schema of an object with the property `label` and its `enum`."""
    if value is None or value == {"type": "text"}:
        return ()
    try:
        labels = value["json_schema"]["schema"]["properties"]["label"]["enum"]
    except (KeyError, TypeError):
        labels = None
    return _labels(labels, "response_format", "a json_schema for an object whose property 'label' has an 'enum'")


def _choice_labels(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    labels = value.get("choice") if isinstance(value, Mapping) and len(value) == 1 else None
    return _labels(labels, "structured_outputs", "{'choice': [...]}")


def _labels(value: Any, name: str, wanted: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(label, str) for label in value):
        raise ApiError(f"'{name}': the rules know only {wanted}", name)
    return tuple(value)


def _shaped(text: str, call: Call) -> str:
    """The text as one of the allowed replies: the one that it is, else the first, as a grammar must allow something."""
    if not call.choices:
        return text
    label = text if text in call.choices else call.choices[0]
    return orjson.dumps({"label": label}).decode() if call.as_json else label


def _cut(reply: Reply, call: Call) -> Reply:
    """The reply up to the first stop word, and as far as the limit of tokens reaches, reasoning first."""
    stops = [place for word in call.stop if (place := reply.content.find(word)) >= 0]
    content = reply.content[: min(stops)] if stops else reply.content
    if call.max_tokens is None or tokens(reply.reasoning + content) <= call.max_tokens:
        return reply._replace(content=content)
    room = call.max_tokens * _CHARACTERS_PER_TOKEN
    reasoning = reply.reasoning[:room]
    return Reply(content[: room - len(reasoning)], reasoning, "length")
