"""A relay before a real server: it passes on each call as it came, and keeps what was sent and what came back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from tests.support.chat_server import ChatServer


@dataclass(frozen=True)
class Passed:
    """A call that was passed on."""

    key: str
    path: str
    body: dict[str, Any]
    reply: dict[str, Any]

    @property
    def prompt_tokens(self) -> int:
        """Tokens of its prompt, as the server counts."""
        return int(self._usage.get("prompt_tokens") or 0)

    @property
    def cached_tokens(self) -> int:
        """Those of them that the server found in its cache of prefixes (`--enable-prompt-tokens-details`)."""
        return int((self._usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)

    @property
    def _usage(self) -> dict[str, Any]:
        return self.reply.get("usage") or {}


class Relay(ChatServer):
    """Passes calls on to a server.

    Args:
        base_url: of that server.
        api_key: that it wants.
    """

    def __init__(self, base_url: str, api_key: str) -> None:
        super().__init__()
        self._root = base_url.removesuffix("/v1")
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self.passed: list[Passed] = []
        """Calls that were answered, in the order of their answers."""

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        """The answer of the server."""
        timeout = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session,
            session.post(self._root + request.path, data=orjson.dumps(body)) as response,
        ):
            content, status = await response.read(), response.status
        if status == web.HTTPOk.status_code:
            self.passed.append(Passed(request.headers["X-Request-Id"], request.path, body, orjson.loads(content)))
        return web.Response(body=content, status=status, content_type="application/json")
