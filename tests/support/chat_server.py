"""An OpenAI-compatible server of the test's own, on loopback, in a thread or as a process of its own:

python -m tests.support.chat_server --port 8000 [--reply fine] [--latency 0]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from tests.support import faults
from tests.support.faults import KINDS, PAID


@dataclass(frozen=True)
class Call:
    """A request that arrived."""

    key: str
    authorization: str | None
    body: dict[str, Any]
    headers: Mapping[str, str]
    url: str
    """Path and query."""


def completion(
    text: str | None,
    finish_reason: str = "stop",
    tokens: tuple[int, int] = (10, 5),
    model: str | None = None,
    **message: Any,
) -> web.Response:
    """A reply as a real server gives it; `tokens` are those of the prompt and of the reply, `model` is who answered."""
    choice = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
    named = {"model": model} if model else {}
    return web.json_response({"choices": [choice], "usage": usage, "system_fingerprint": "test-1", **named})


def is_probe(request: web.Request) -> bool:
    """Whether a request only looks whether the server answers."""
    return request.headers["X-Request-Id"] == "probe"


class ChatServer:
    """Answers each request with what `reply` returns for it, and notes it. Use as a context manager.

    Args:
        reply: takes the body; gives the text of the reply, or a whole response.
        latency_s: pause before each answer.
        port: where to listen; 0 takes a free one.
        tls: speaks HTTPS with this certificate.
    """

    path = "/v1/chat/completions"
    """Place of the endpoint; subclasses may have others."""
    beside = ("/v1/completions", "/tokenize")
    """Places that answer in the same way; what is asked there has a `prompt` and no messages."""

    def __init__(
        self,
        reply: Callable[[dict[str, Any]], str | web.Response] = lambda body: "fine",
        latency_s: float = 0.0,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._reply_to = reply
        self._tls = tls
        self._latency_s = latency_s
        self._port = port
        self._loop = asyncio.new_event_loop()
        self.calls: list[Call] = []
        self.probes: list[Call] = []
        """Calls of one token that only look whether the server answers; they are no rows' calls."""
        self.in_flight = self.most_in_flight = 0
        self.base_url = ""

    @property
    def keys(self) -> list[str]:
        """Key of each call that arrived."""
        return [call.key for call in self.calls]

    async def list_models(self, request: web.Request) -> web.StreamResponse:
        """The list of models; there is none."""
        del request
        return web.Response(status=404)

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        """What one request gets; subclasses may do worse."""
        del request
        await asyncio.sleep(self._latency_s)
        said = self._reply_to(body)
        return completion(said) if isinstance(said, str) else said

    async def misbehave(self, request: web.Request, fault: str, text: str) -> web.StreamResponse:
        """Answer with a fault (`faults.FAULTS`) in place of a reply with this text, over the bare connection."""
        transport = request.transport
        assert transport
        key, posted = request.headers["X-Request-Id"], await request.read()
        call = faults.Call.of(text, posted, request.headers.get("Authorization"), key)
        await faults.deliver(transport, faults.closing(faults.answer_to(fault, call)))
        transport.close()
        return web.Response()

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
        for path in dict.fromkeys((self.path, *self.beside)):
            app.router.add_post(path, self._handle)
        app.router.add_get("/v1/models", self.list_models)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", self._port, ssl_context=self._tls)
        self._loop.run_until_complete(site.start())
        self.base_url = f"{'https' if self._tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/v1"
        started.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        headers = request.headers
        key, authorization = headers["X-Request-Id"], headers.get("Authorization")
        noted = self.probes if is_probe(request) else self.calls
        noted.append(Call(key, authorization, body, headers, str(request.rel_url)))
        self.in_flight += 1
        self.most_in_flight = max(self.in_flight, self.most_in_flight)
        try:
            return await self.answer(request, body)
        finally:
            self.in_flight -= 1


class FaultyServer(ChatServer):
    """Takes the next fault of a plan for each request that arrives; answers as it should when the plan is used up.

    Args:
        plan: names of `faults.FAULTS`; any other name stands for a reply without a fault.
        options: as for `ChatServer`.
    """

    def __init__(self, plan: Iterable[str], **options: Any) -> None:
        super().__init__(**options)
        self._plan = iter(plan)
        self.answered = Counter[str]()
        """How many whole replies each key got: what a provider would send a bill for."""

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        fault = next(self._plan, "none")
        self.answered[request.headers["X-Request-Id"]] += fault not in KINDS or fault in PAID
        if fault in KINDS:
            return await self.misbehave(request, fault, str(self._reply_to(body)))
        return await super().answer(request, body)


def shuffled(faults: Mapping[str, int], seed: int = 5) -> list[str]:
    """A plan with so many of each fault, in an order that is the same in every run."""
    plan = [fault for fault, count in faults.items() for _ in range(count)]
    random.Random(seed).shuffle(plan)
    return plan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--reply", default="fine")
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--status", type=int, default=200)
    options = parser.parse_args()

    def reply(_: dict[str, Any]) -> str | web.Response:
        return options.reply if options.status == 200 else web.Response(status=options.status, text="no such model")

    with ChatServer(reply, options.latency, options.port) as server:
        print(f"process {os.getpid()} listens at {server.base_url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
