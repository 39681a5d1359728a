"""An OpenAI-compatible server of the test's own, on loopback, in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True)
class Call:
    """A request that arrived."""

    key: str
    authorization: str | None
    body: dict[str, Any]


def completion(text: str | None, finish_reason: str = "stop", **message: Any) -> web.Response:
    """A reply as a real server gives it."""
    choice = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    return web.json_response({"choices": [choice], "usage": usage, "system_fingerprint": "test-1"})


class ChatServer:
    """Answers each request with what `reply` returns for it, and notes it. Use as a context manager.

    Args:
        reply: takes the body; gives the text of the reply, or a whole response.
        latency_s: pause before each answer.
    """

    def __init__(
        self, reply: Callable[[dict[str, Any]], str | web.Response] = lambda body: "fine", latency_s: float = 0.0
    ) -> None:
        self._reply_to = reply
        self._latency_s = latency_s
        self._loop = asyncio.new_event_loop()
        self.calls: list[Call] = []
        self.in_flight = self.most_in_flight = 0
        self.base_url = ""

    @property
    def keys(self) -> list[str]:
        """Key of each call that arrived."""
        return [call.key for call in self.calls]

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        """What one request gets; subclasses may do worse."""
        del request
        await asyncio.sleep(self._latency_s)
        said = self._reply_to(body)
        return completion(said) if isinstance(said, str) else said

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(30)
        return self

    def __exit__(self, *error: Any) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        started.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.calls.append(Call(request.headers["X-Request-Id"], request.headers.get("Authorization"), body))
        self.in_flight += 1
        self.most_in_flight = max(self.in_flight, self.most_in_flight)
        try:
            return await self.answer(request, body)
        finally:
            self.in_flight -= 1
