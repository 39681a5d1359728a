"""The line that a person watches while calls are made."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from omr_kedro.llm.endpoint import Price
from omr_kedro.llm.engine.engine import Engine
from omr_kedro.llm.engine.progress import Tally
from tests.support.call_plans import call_plan, scratch_in, session_of, texts
from tests.support.chat_server import ChatServer


def test_a_limit_of_the_endpoint_stands_on_the_line_and_nothing_where_there_is_none(tmp_path: Path) -> None:
    with ChatServer() as server:
        lines = [_engine(server, tmp_path, requests_per_minute=limit).tally.line() for limit in (35, None, 0)]
    assert "at most 35 a minute" in lines[0]
    assert not any("a minute" in line for line in lines[1:])


def _engine(server: ChatServer, folder: Path, **limits: Any) -> Engine:
    plan = call_plan(server, {"a": texts(1)}, **limits)
    return Engine(plan, session_of(plan), ["a"], scratch_in(folder))


def test_tokens_are_told_with_their_money_where_the_price_is_known() -> None:
    tally = Tally("stage", "m", expected=10, paid=2, prompt_tokens=3_000_000, completion_tokens=1_000_000)
    assert "; 4,000,000 tokens; " in tally.line()
    tally.price = Price(prompt=2, completion=5)
    assert "; 4,000,000 tokens, 11.00 in money; " in tally.line()
    assert "tokens" not in Tally("stage", "m", expected=10).line()


def test_open_episodes_and_running_code_are_told_while_there_are_any() -> None:
    tally = Tally("solve", "m", expected=10)
    tally.open_episodes = {1: time.monotonic() - 70, 2: time.monotonic()}
    with tally.running():
        assert "1 run code; 2 episodes open, the oldest since 70.0 s" in tally.line()
    assert "run code" not in tally.line()
