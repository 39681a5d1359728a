"""A model that types a script, a byte a token: a server that goes on from token ids, as vLLM does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from aiohttp import web

PROMPT = b"?"
"""Ids of whatever messages."""
_OUTPUT = re.compile(r"\n```output\n(?:[^\n]*\n)*?```\n(?:```system\n[^\n]*\n```\n)?")


class Typist:
    """Gives the script's next bytes to whatever ids it is asked to go on from.

    As vLLM it looks for a stop text in what it types for one call, and not in what stood before.

    Args:
        script: replies of the model; outputs of code that stand between them are passed over.
        context: tokens of prompt and reply at most.
    """

    def __init__(self, script: Sequence[str], context: int = 1_000_000) -> None:
        self._text = "".join(script)
        self._context = context

    def __call__(self, body: dict[str, Any]) -> web.Response:
        """The answer to a request."""
        if "add_special_tokens" in body:
            return web.json_response({"tokens": list(body["prompt"].encode())})
        prompt = bytes(body["prompt"]) if "prompt" in body else PROMPT
        said = _OUTPUT.sub("", prompt.removeprefix(PROMPT).decode())
        assert self._text.startswith(said), f"nobody said {said!r}"
        text, stop_reason, finish_reason = self._text[len(said) :], None, "stop"
        if ends := [text.find(stop) + len(stop) for stop in body.get("stop", ()) if stop in text]:
            text, stop_reason = text[: min(ends)], body["stop"][0]
        if len(text) > (most := min(body["max_tokens"], self._context - len(prompt))):
            text, stop_reason, finish_reason = text[:most], None, "length"
        choice = {"finish_reason": finish_reason, "stop_reason": stop_reason, "token_ids": list(text.encode())}
        usage = {"prompt_tokens": len(prompt), "completion_tokens": len(text)}
        if "prompt" in body:
            return web.json_response({"choices": [{"text": text, **choice}], "usage": usage})
        message = {"message": {"role": "assistant", "content": text}, **choice}
        return web.json_response({"choices": [message], "usage": usage, "prompt_token_ids": list(PROMPT)})
