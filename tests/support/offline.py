"""The offline model behind a server of the test's own, which counts calls and can misbehave."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from aiohttp import web

from omr_kedro.llm import Prompt
from omr_kedro.offline_model.stages import STAGES, load_prompts
from tests.support.project import Project


@dataclass(frozen=True)
class Call:
    """A request that arrived."""

    key: str
    authorization: str | None


class OfflineModel:
    """Answers as `--env offline` does, and notes each call. Use as a context manager.

    Args:
        project: whose prompts are answered; they are read anew at each call, since tests edit them.
        latency_s: pause before each reply.
        scripted: statuses of the first calls, answered with a body that repeats the caller's key.
        faults: probability of each fault, see `_misbehave`.
    """

    def __init__(
        self,
        project: Project,
        latency_s: float = 0.0,
        scripted: Sequence[int] = (),
        faults: Mapping[str, float] | None = None,
    ) -> None:
        self._folder = project.path / "conf/base/prompts"
        self._latency_s = latency_s
        self._scripted = list(scripted)
        self._faults = faults or {}
        self._random = random.Random(3)
        self._replaced: dict[str, str] = {}
        self._loop = asyncio.new_event_loop()
        self.calls: list[Call] = []
        self.asked: list[str] = []
        """Stage of each call that a rule answered."""
        self.texts: list[str] = []
        """The row's own text in each of them."""
        self.base_url = ""

    @property
    def keys(self) -> list[str]:
        """Key of each call that arrived."""
        return [call.key for call in self.calls]

    def replace(self, stage: str, reply: str) -> None:
        """Give one reply to all calls of a stage from now on."""
        self._replaced[stage] = reply

    def __enter__(self) -> OfflineModel:
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
        app.router.add_post("/v1/chat/completions", self._answer)
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

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.calls.append(Call(request.headers["X-Request-Id"], request.headers.get("Authorization")))
        await asyncio.sleep(self._latency_s)
        if self._scripted:
            status = self._scripted.pop(0)
            return web.json_response({"detail": f"refused {self.calls[-1].authorization}"}, status=status)
        choice = {"message": {"role": "assistant", "content": self._reply(body["messages"])}, "finish_reason": "stop"}
        fault = self._draw_fault()
        if response := await self._misbehave(fault, request):
            return response
        if fault == "empty":
            choice["message"] = {"role": "assistant", "content": ""}
        elif fault == "length":
            choice["finish_reason"] = "length"
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        return web.json_response({"choices": [choice], "usage": usage})

    async def _misbehave(self, fault: str, request: web.Request) -> web.StreamResponse | None:
        if fault == "429":
            return web.Response(status=429)
        if fault == "429 with Retry-After":
            return web.Response(status=429, headers={"Retry-After": "0.01"})
        if fault == "500":
            return web.Response(status=500)
        if fault == "hang":
            await asyncio.sleep(5)
        if fault == "garbage":
            return web.Response(text='{"choices": [{"mess')
        if fault == "cut" and request.transport:
            request.transport.close()
            return web.Response()
        return None

    def _draw_fault(self) -> str:
        draw = self._random.random()
        for fault, probability in self._faults.items():
            draw -= probability
            if draw < 0:
                return fault
        return ""

    def _reply(self, messages: Sequence[Mapping[str, str]]) -> str:
        for prompt in self._prompts():
            if (values := prompt.match(messages)) is not None:
                self.asked.append(prompt.name)
                self.texts.append(messages[-1]["content"])
                return self._replaced.get(prompt.name) or STAGES[prompt.name].reply(values)
        return "This prompt is unknown."

    def _prompts(self) -> Sequence[Prompt]:
        state = tuple(path.stat().st_mtime_ns for path in sorted(self._folder.glob("*.yml")))
        return _load(self._folder, state)


@lru_cache
def _load(folder: Path, state: tuple[int, ...]) -> Sequence[Prompt]:
    return load_prompts(folder)
