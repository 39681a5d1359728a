"""Calls of a test: one for each text of each shard, asked of a server on loopback, kept in a table."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from omr_kedro import tables
from omr_kedro.llm.calls import CallPlan, Request, Sampling
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry, ModelSession
from omr_kedro.shards import Row, Scratch, TableStore
from tests.support.chat_server import ChatServer
from tests.support.waiting import PATIENCE_S


class Gate(ChatServer):
    """Keeps calls with a word in them waiting until it is opened."""

    def __init__(self, word: str, **options: Any) -> None:
        super().__init__(**options)
        self._word = word
        self._opened = asyncio.Event()

    def open(self) -> None:
        self._loop.call_soon_threadsafe(self._opened.set)

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if self._word in said(body):
            with suppress(TimeoutError):  # a test that never opens it should fail, not hang
                await asyncio.wait_for(self._opened.wait(), PATIENCE_S)
        return await super().answer(request, body)


def said(body: Mapping[str, Any]) -> str:
    text: str = body["messages"][-1]["content"]
    return text


def echo(body: dict[str, Any]) -> str:
    return f"re {said(body)}"


def call_plan(
    server: ChatServer,
    shards: Mapping[str, Iterable[str]],
    *,
    max_failed_share: float = 1.0,
    key: str | None = None,
    **limits: Any,
) -> CallPlan:
    """One call for each text of each shard."""
    questions = {name: list(texts) for name, texts in shards.items()}

    def requests(name: str) -> Iterator[Request]:
        for number, text in enumerate(questions[name]):
            yield Request(f"{name}-{number}", [{"role": "user", "content": text}], Sampling(), "prompt")

    return CallPlan(
        name="test",
        model=ChatModel(ModelEntry("m", server.base_url, api_key=key, limits=Limits(**{"max_in_flight": 8, **limits}))),
        asks=requests,
        expected={name: len(texts) for name, texts in questions.items()},
        fingerprints=dict.fromkeys(questions, "as it is"),
        max_failed_share=max_failed_share,
    )


def requests_of(plan: CallPlan, *shards: str) -> list[Request]:
    """The calls of a plan that has no episodes."""
    asks = [ask for name in shards for ask in plan.asks(name)]
    requests = [ask for ask in asks if isinstance(ask, Request)]
    assert len(requests) == len(asks)
    return requests


def table(folder: Path) -> TableStore:
    return TableStore(folder / "table", "jsonl", tables.COMPLETIONS)


def rows(folder: Path) -> list[Row]:
    return list(table(folder).shards().rows())


def texts(count: int) -> list[str]:
    return [f"question {number}" for number in range(count)]


def asked(server: ChatServer) -> list[str]:
    return [said(call.body) for call in server.calls]


def scratch_in(folder: Path) -> Callable[[str], Scratch]:
    return lambda name: Scratch(folder / f"{name}.open", folder / f"{name}.retired", lambda: iter(()))


def session_of(plan: CallPlan) -> ModelSession:
    """What all who ask the plan's model share."""
    assert isinstance(plan.model, ChatModel)
    return plan.model.session


def saving(folder: Path, plan: CallPlan, expect: type[Exception] | None = None) -> threading.Thread:
    def save() -> None:
        with pytest.raises(expect) if expect else nullcontext():
            table(folder).save(plan)

    thread = threading.Thread(target=save)
    thread.start()
    return thread
