"""Requests in OpenAI's protocol, with vLLM's fields for token ids: read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omr_kedro.llm.calls import Message
from omr_kedro.offline_model import MODEL_NAME
from omr_kedro.offline_model.tokenizer import ASSISTANT, decode_chat, encode

PYTHON = "python"
"""The one tool that the rules call."""
_MOST_CHOICES = 128
_LIMITS = ("max_completion_tokens", "max_tokens")
_REASONING = ("reasoning_content", "reasoning")


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


@dataclass(frozen=True, slots=True)
class Call:
    """The question that the server is asked."""

    messages: list[Message]
    """Of a prompt of token ids: those of its chat; the last one may be the assistant's, who goes on."""
    max_tokens: int | None
    n: int
    seed: int
    """Of the first choice; 0 where none is given. Choice i is drawn with seed + i, as vLLM does."""
    stop: tuple[str, ...]
    keeps_stop: bool
    """Whether the stop word stays at the end of the reply."""
    wants_ids: bool
    """Whether token ids of prompt and reply are wanted."""
    choices: tuple[str, ...] = ()
    """The only replies allowed; empty for free text."""
    as_json: bool = False
    """Whether the choice is wanted as `{"label": …}`."""
    offers_python: bool = False
    """Whether there is the tool `python`."""
    may_call: bool = False
    """Whether it may be called in this turn."""
    prompt_ids: tuple[int, ...] | None = None
    """The prompt of a request for a continuation; None for a chat."""


def read_chat(body: Any) -> Call:
    """Check the body of a request for a reply to messages.

    Raises:
        ApiError: naming the field that is wrong.
    """
    common = _common(body)
    formatted, structured = _format_labels(body.get("response_format")), _choice_labels(body.get("structured_outputs"))
    offered = PYTHON in _tools(body.get("tools"))
    return Call(
        messages=_messages(body.get("messages")),
        choices=formatted or structured,
        as_json=bool(formatted),
        offers_python=offered,
        may_call=_may_call(body.get("tool_choice")) and offered,
        **common,
    )


def read_continuation(body: Any) -> Call:
    """Check the body of a request to go on from a prompt of token ids or text.

    Raises:
        ApiError: naming the field that is wrong.
    """
    common = _common(body)
    prompt = body.get("prompt")
    ids = encode(prompt) if isinstance(prompt, str) else prompt
    if not isinstance(ids, list) or not ids or not all(type(each) is int and each >= 0 for each in ids):
        raise ApiError("'prompt' must be a text or a list of token ids, and not empty", "prompt")
    try:
        messages = decode_chat(ids)
    except (ValueError, OverflowError) as error:
        raise ApiError(f"'prompt' is not of this server's tokens: {error}", "prompt") from None
    return Call(messages=messages, prompt_ids=tuple(ids), **common)


def read_text(body: Any) -> str:
    """Check the body of a request for the token ids of a text.

    Raises:
        ApiError: naming the field that is wrong.
    """
    _check_object(body)
    if not isinstance(text := body.get("prompt"), str):
        raise ApiError("'prompt' must be a text", "prompt")
    return text


def _common(body: Any) -> dict[str, Any]:
    _check_object(body)
    if body.get("stream"):
        raise ApiError("this server does not stream; leave 'stream' out or false", "stream")
    for name in ("temperature", "top_p", "seed"):
        _check_number(body, name)
    return {
        "max_tokens": next((limit for name in _LIMITS if (limit := _count(body, name))), None),
        "n": _count(body, "n", _MOST_CHOICES) or 1,
        "seed": int(body.get("seed") or 0),
        "stop": _stop(body.get("stop")),
        "keeps_stop": bool(body.get("include_stop_str_in_output")),
        "wants_ids": bool(body.get("return_token_ids")),
    }


def _check_object(body: Any) -> None:
    if not isinstance(body, Mapping):
        raise ApiError("the body must be a JSON object")
    model = body.get("model")
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
    messages = [_message(entry) for entry in value]
    _check_answers(messages)
    return messages


def _message(entry: Any) -> Message:
    """A message with its role and content, and what else it may have: reasoning, calls, the call that it answers."""
    if isinstance(entry, Mapping) and isinstance(role := entry.get("role"), str):
        calls = _call_ids(entry.get("tool_calls")) if role == ASSISTANT else []
        content = "" if calls and entry.get("content") is None else _text(entry.get("content"))
        if content is not None:
            reasoning = next((text for name in _REASONING if isinstance(text := entry.get(name), str)), "")
            more = {"reasoning": reasoning, "calls": calls, "answers": entry.get("tool_call_id")}
            return {"role": role, "content": content, **{name: given for name, given in more.items() if given}}
    raise ApiError("each of 'messages' needs a 'role' and a text 'content'", "messages")


def _call_ids(value: Any) -> list[str]:
    try:
        ids = [call["id"] for call in value or [] if isinstance(call["function"]["arguments"], str)]
    except (KeyError, TypeError):
        ids = [None]
    if not all(isinstance(each, str) for each in ids):
        raise ApiError("each of 'tool_calls' needs an 'id', and a 'function' with 'arguments'", "messages")
    return ids


def _check_answers(messages: Sequence[Message]) -> None:
    """See that each call of a tool is answered before anything else is said, and nothing is that was not called."""
    waiting: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message.get("answers") not in waiting:
                raise ApiError("a message of the role 'tool' answers no call of the message before", "messages")
            waiting.remove(message["answers"])
        elif waiting:
            break
        else:
            waiting = set(message.get("calls", ()))
    if waiting:
        raise ApiError(f"the calls {sorted(waiting)} have no message of the role 'tool'", "messages")


def _text(content: Any) -> str | None:
    """The text of a message, which may come in parts; None where it is anything else."""
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []
    return "".join(map(str, parts)) if parts and all(isinstance(part, str) for part in parts) else None


def _tools(value: Any) -> list[str]:
    """The names of the tools that are offered."""
    try:
        names = [tool["function"]["name"] for tool in value or []]
    except (KeyError, TypeError):
        names = [None]
    if not all(isinstance(name, str) for name in names):
        raise ApiError("'tools' must be a list of functions, each with a name", "tools")
    return names


def _may_call(value: Any) -> bool:
    if value not in (None, "auto", "none"):
        raise ApiError("'tool_choice': the rules know only 'auto' and 'none'", "tool_choice")
    return bool(value != "none")


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
