"""The offline model behind a server of the test's own, which counts calls and can misbehave."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from omr_kedro.llm.calls import Prompt
from omr_kedro.offline_model import replies
from omr_kedro.offline_model.replies import Reply, token_ids
from omr_kedro.offline_model.requests import Call, read_chat, read_continuation, read_text
from omr_kedro.offline_model.stages import STAGES, load_prompts
from omr_kedro.offline_model.talk import talk_of
from omr_kedro.offline_model.tokenizer import count
from tests.support.chat_server import ChatServer, completion, is_probe
from tests.support.faults import PAID
from tests.support.project import Project


class OfflineModel(ChatServer):
    """Answers as `--env offline` does, and notes each call. Use as a context manager.

    Args:
        project: whose prompts are answered; they are read anew at each call, since tests edit them.
        latency_s: pause before each reply.
        scripted: statuses of the first calls, answered with a body that repeats the caller's key.
        faults: probability of each fault of `faults.FAULTS`.
    """

    def __init__(
        self,
        project: Project,
        latency_s: float = 0.0,
        scripted: Sequence[int] = (),
        faults: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(latency_s=latency_s)
        self._folder = project.path / "conf/base/prompts"
        self._scripted = list(scripted)
        self._faults = faults or {}
        self._random = random.Random(3)
        # Its rules are no fit judge of contamination; whoever is asked from elsewhere must be one.
        self._controls = _controls(project)
        self._replaced: dict[str, Callable[[Mapping[str, str]], str]] = {}
        self.asked: list[str] = []
        """Stage of each call that a rule answered."""
        self.texts: list[str] = []
        """The row's own text in each of them."""
        self.answered = Counter[str]()
        """How often each call got a reply that a caller must pay for."""
        self.tokens = 0
        """Of all prompts and replies."""

    def replace(self, stage: str, reply: str | Callable[[Mapping[str, str]], str]) -> None:
        """Give one reply to all calls of a stage from now on, or what a function makes of the prompt's values."""
        self._replaced[stage] = reply if callable(reply) else lambda _: reply

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(self._latency_s)
        if self._scripted:
            detail = {"detail": f"refused {request.headers.get('Authorization')}"}
            return web.json_response(detail, status=self._scripted.pop(0))
        if is_probe(request):
            return completion("1", "length")
        body = {**body, "model": None}  # it answers to any name
        if request.path == "/tokenize":
            return web.json_response(token_ids(read_text(body)))
        call = read_continuation(body) if "prompt" in body else read_chat(body)
        reply = self._reply(call)
        fault = self._draw_fault()
        self.answered[request.headers["X-Request-Id"]] += not fault or fault in PAID
        if fault:
            return await self.misbehave(request, fault, reply.content)
        spent = sum(count(message["content"]) for message in call.messages), count(reply.content + reply.reasoning)
        self.tokens += sum(spent)
        if call.wants_ids or reply.arguments:
            return web.json_response(replies.completion(call, [reply], request.headers["X-Request-Id"]))
        return completion(reply.content, reply.finish_reason, spent, reasoning_content=reply.reasoning)

    def _draw_fault(self) -> str:
        draw = self._random.random()
        for fault, probability in self._faults.items():
            draw -= probability
            if draw < 0:
                return fault
        return ""

    def _reply(self, call: Call) -> Reply:
        opening, talk = talk_of(call)
        for prompt in self._prompts():
            if (values := prompt.match(opening)) is not None:
                self.asked.append(prompt.name)
                self.texts.append(opening[-1]["content"])
                if replaced := self._replaced.get(prompt.name):
                    return Reply(replaced(values))
                if prompt.name == "judge_contamination" and (known := self._controls.get(_pair(values))) is not None:
                    return Reply(str(known))
                return STAGES[prompt.name].reply(values, call.seed, talk)
        return Reply("This prompt is unknown.")

    def _prompts(self) -> Sequence[Prompt]:
        state = tuple(path.stat().st_mtime_ns for path in sorted(self._folder.glob("*.yml")))
        return _load(self._folder, state)


def _controls(project: Project) -> dict[frozenset[str], bool]:
    """Pairs whose verdict is known, in either order."""
    path = project.path / "data/01_raw/exam/decontaminate.jsonl"
    rows = map(orjson.loads, path.read_bytes().splitlines()) if path.exists() else ()
    return {_pair(row): row["same"] for row in rows}


def _pair(values: Mapping[str, Any]) -> frozenset[str]:
    return frozenset((values["problem"].strip(), values["benchmark_problem"].strip()))


@lru_cache
def _load(folder: Path, state: tuple[int, ...]) -> Sequence[Prompt]:
    return load_prompts(folder)
