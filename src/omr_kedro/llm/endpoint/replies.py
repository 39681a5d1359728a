"""The body of an answer becomes a completion: nothing that is not needed can cost a reply, whatever it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from omr_kedro.llm.calls.errors import CallError
from omr_kedro.llm.calls.request import LARGEST_COUNT, Completion
from omr_kedro.llm.calls.token_ids import are_token_ids

_SHOWN_BYTES = 120
_ECHO = b'"prompt_token_ids":['
_LARGEST_ID = 2**31 - 1
_MOST_CALLS = 64
"""Calls of tools in one reply; no model makes so many at once."""
_MOST_DIGITS = 30
_LABEL_CHARS = 200
"""Of what servers name: a finish reason, a fingerprint. Longer ones are cut."""


def read_reply(content: bytes, key: str, model: str, latency_s: float) -> Completion:
    """The completion that a chat endpoint answered.

    Args:
        content: the body, secrets taken out.
        key: of the call.
        model: that was asked.
        latency_s: seconds from sending to the last byte.

    Raises:
        CallError: `garbage`: there is no reply in it.
    """
    try:
        reply = _parsed(content)
        choice = reply["choices"][0]
        # The continuation of a prompt of token ids comes without a message.
        message = choice["message"] if "message" in choice else {"content": choice["text"]}
        text, reasoning = _content(message.get("content")), _reasoning(message)
        finish_reason = _label(choice.get("finish_reason"))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        start = content[:_SHOWN_BYTES].decode("utf-8", "replace")
        raise CallError(
            "garbage", f"unreadable answer ({type(error).__name__}), it begins {start!r}", reply_bytes=len(content)
        ) from None
    usage = reply.get("usage")
    return Completion(
        call_key=key,
        model=_label(reply.get("model")) or model,
        text=text,
        reasoning=reasoning,
        finish_reason=finish_reason,
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        latency_s=round(latency_s, 3),
        system_fingerprint=_label(reply.get("system_fingerprint")),
        asked_model=model,
        stop_reason=_label(choice.get("stop_reason")),
        token_ids=_token_ids(choice.get("token_ids")),
        prompt_ids=_token_ids(reply.get("prompt_token_ids")) if "message" in choice else None,
        tool_calls=_tool_calls(message.get("tool_calls")),
    )


def without_echo(content: bytes) -> bytes:
    """The body of a continuation without the token ids of its prompt, which vLLM sends back with those of the reply.

    Reading a long prompt back costs more than all else that is done for a call. Within a text of JSON its quotes would
    be escaped, so that no word of a model is taken for it.
    """
    begin = content.find(_ECHO) + len(_ECHO)
    end = content.find(b"]", begin)
    return content if begin < len(_ECHO) or end < 0 else content[:begin] + content[end:]


def read_token_ids(content: bytes, key: str, model: str, latency_s: float) -> Completion:
    """The token ids that an endpoint gives for a text; arguments and errors as of `read_reply`."""
    try:
        ids = _token_ids(_parsed(content).get("tokens"))
    except (ValueError, TypeError, RecursionError):
        ids = None
    if ids is None:
        start = content[:_SHOWN_BYTES].decode("utf-8", "replace")
        raise CallError("garbage", f"no token ids, it begins {start!r}", reply_bytes=len(content))
    return Completion(key, model, finish_reason="stop", latency_s=round(latency_s, 3), asked_model=model, token_ids=ids)


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        reply = orjson.loads(content)
    except orjson.JSONDecodeError:
        # The slow parser takes what the strict one refuses and servers send: NaN, half a surrogate, a byte order mark.
        text = content.decode("utf-8-sig", "replace")
        reply = _without_surrogates(json.loads(text, parse_int=_number))
    if not isinstance(reply, dict):
        raise TypeError("a JSON object is expected")
    return reply


def _number(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MOST_DIGITS else None


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_surrogates(item) for name, item in value.items()}
    return value


def _content(value: Any) -> str:
    """The text of a message: a string, or the parts that OpenAI's protocol allows in its place."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(part if isinstance(part, str) else _part(part) for part in value)
    raise TypeError("text is expected")


def _part(part: Any) -> str:
    text = part.get("text")
    return text if isinstance(text, str) else ""


def _reasoning(message: Mapping[str, Any]) -> str | None:
    found = (message.get(name) for name in ("reasoning_content", "reasoning"))
    return next((text for text in found if isinstance(text, str) and text), None)


def _label(value: Any) -> str | None:
    return value[:_LABEL_CHARS] if isinstance(value, str) else None


def _tool_calls(value: Any) -> str | None:
    """The calls of tools in a message, as JSON; None where there is none. What is no call is kept as one without name.

    A server's parser has found them in what the model wrote: names and arguments may be anything.
    """
    if not isinstance(value, list) or not value:
        return None
    calls = [call if isinstance(call, dict) else {} for call in value[:_MOST_CALLS]]
    functions = [call["function"] if isinstance(call.get("function"), dict) else {} for call in calls]
    made = [
        {"id": _text(call.get("id")), **{name: _text(function.get(name)) for name in ("name", "arguments")}}
        for call, function in zip(calls, functions, strict=True)
    ]
    return orjson.dumps(made).decode()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _token_ids(value: Any) -> list[int] | None:
    """Token ids of a reply; None for what cannot be such."""
    return value if are_token_ids(value, _LARGEST_ID) else None


def _count(usage: Any, name: str) -> int:
    """A number of tokens; 0, which means unknown, for what cannot be one."""
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if type(value) is int and 0 <= value <= LARGEST_COUNT else 0
