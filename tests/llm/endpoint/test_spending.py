from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.llm.calls import CallPlan, Completion, Request, Sampling, SpendingLimitError
from omr_kedro.llm.calls.token_estimate import estimate_prompt_tokens, estimate_reply_tokens
from omr_kedro.llm.endpoint import Price, Spending, SpendingLimits, Spent
from omr_kedro.llm.endpoint.spending import Charge
from omr_kedro.shards import Row
from tests.support.call_plans import Gate, asked, call_plan, rows, said, saving, session_of, table, texts
from tests.support.chat_server import ChatServer, completion
from tests.support.waiting import wait_until

COST = 15
"""Tokens of each call of the test's server."""


def limited(calls: CallPlan, spending: Spending | None = None, price: Price | None = None, **limits: Any) -> CallPlan:
    """Calls under a limit, each time with an account of its own, as a run has it."""
    session_of(calls).charge(spending or Spending(SpendingLimits(**limits)), price or Price())
    return calls


def rows_or_none(folder: Path) -> list[Row]:
    return rows(folder) if table(folder).complete else []


def test_a_limit_stops_the_run_and_the_next_runs_do_the_rest_and_pay_for_nothing_twice(tmp_path: Path) -> None:
    shards = {"a": texts(25), "b": [f"b {n}" for n in range(15)]}
    told = list[tuple[int, str]]()
    with ChatServer() as server:
        while len(rows_or_none(tmp_path)) < 40:
            before = len(server.calls)
            try:
                table(tmp_path).save(limited(call_plan(server, shards), total_tokens=200))
            except SpendingLimitError as stopped:
                told.append(((len(server.calls) - before) * COST, str(stopped)))
    assert 2 <= len(told) < 10
    for spent, words in told:
        assert 0 < spent <= 200 + 8 * COST, "what was in flight before the first reply told what a call takes"
        assert f"{spent:,} of 200 tokens ({spent * 2 // 3:,} prompt + {spent // 3:,} completion" in words
        assert "the same command goes on from here" in words
    assert len(server.calls) == len(set(server.keys)) == 40


def test_calls_in_flight_when_the_limit_is_reached_are_awaited_and_kept(tmp_path: Path) -> None:
    with Gate("slow") as server:
        calls = limited(call_plan(server, {"a": ["slow 1", "slow 2", *texts(20)]}), total_tokens=100)
        thread = saving(tmp_path, calls, expect=SpendingLimitError)
        wait_until(lambda: session_of(calls).spending.reached)
        server.open()
        thread.join()
    journal = (tmp_path / "table/.open/a.jsonl").read_text()
    assert "slow 1" in asked(server)
    assert journal.count("\n") == len(server.calls) < 20


def test_a_limit_that_is_not_reached_or_needed_changes_nothing(tmp_path: Path) -> None:
    with ChatServer() as server:
        table(tmp_path).save(limited(call_plan(server, {"a": texts(10)}), total_tokens=10_000))
        again = limited(call_plan(server, {"a": texts(10), "b": texts(0)}), total_tokens=1)
        session_of(again).spending.siblings = Spent(1, 5, 5)
        table(tmp_path).save(replace(again, fingerprints=dict.fromkeys(again.fingerprints, "made anew")))
    assert len(server.calls) == 10, "what earlier runs have paid for is free"


def test_what_other_processes_have_spent_counts(tmp_path: Path) -> None:
    spending = Spending(SpendingLimits(total_tokens=100))
    spending.siblings = Spent(7, 90, 10)
    with ChatServer() as server, pytest.raises(SpendingLimitError, match=r"100 of 100 tokens .* in 7 calls"):
        table(tmp_path).save(limited(call_plan(server, {"a": texts(10)}), spending))
    assert not server.calls


def test_two_models_share_the_limit_of_their_run_each_at_its_own_price(tmp_path: Path) -> None:
    spending = Spending(SpendingLimits(money=COST * 40e-6))
    prices = (Price(prompt=1, completion=1), Price(prompt=10, completion=10))
    with ExitStack() as stack:
        servers = [stack.enter_context(ChatServer()) for _ in prices]
        for number, (server, price) in enumerate(zip(servers, prices, strict=True)):
            calls = limited(call_plan(server, {"a": texts(20)}, max_in_flight=1), spending, price)
            if number == 0:
                table(tmp_path / "0").save(calls)
            else:
                with pytest.raises(SpendingLimitError, match=r"in money"):
                    table(tmp_path / "1").save(calls)
    assert [len(server.calls) for server in servers] == [20, 2]


def test_tokens_that_nobody_counts_are_estimated_and_failed_calls_count_as_nothing(tmp_path: Path) -> None:
    def uncounted(body: dict[str, Any]) -> web.Response:
        if said(body) == "question 1":
            return web.Response(status=400)
        choice = {
            "message": {"role": "assistant", "content": "a reply of thirty characters.."},
            "finish_reason": "stop",
        }
        return web.json_response({"choices": [choice]})

    spending = Spending(SpendingLimits(total_tokens=10**6))
    with ChatServer(uncounted) as server:
        table(tmp_path).save(limited(call_plan(server, {"a": ["question 1", "question 2"]}), spending))
    prompt = estimate_prompt_tokens([{"role": "user", "content": "question 2"}])
    assert spending.spent == Spent(1, prompt, 10, 0)
    assert [row["prompt_tokens"] for row in rows(tmp_path)] == [0, 0], "the table says what the server counts"


@given(
    limit=st.integers(1, 3000),
    window=st.integers(1, 40),
    words=st.integers(1, 100),
    reply=st.integers(1, 200),
)
def test_once_a_reply_is_there_no_call_starts_that_is_expected_to_pass_the_limit(
    limit: int, window: int, words: int, reply: int
) -> None:
    """With calls that are alike: the limit is used up but for one call, or passed by one, after the first window."""
    request = Request("r", [{"role": "user", "content": "word " * words}], Sampling(), "p")
    prompt = estimate_prompt_tokens(request.messages)
    spending = Spending(SpendingLimits(total_tokens=limit))
    open_calls: list[tuple[AbstractContextManager[Charge], Charge]] = []
    stopped = False
    while not stopped or open_calls:
        while not stopped and len(open_calls) < window:
            starting = spending.call("stage", Price(), request)
            try:
                open_calls.append((starting, starting.__enter__()))
            except SpendingLimitError:
                stopped = True
        if not open_calls:
            break
        call, result = open_calls.pop(0)
        result.replied(Completion("k", "m", "x", prompt_tokens=prompt, completion_tokens=reply))
        call.__exit__(None, None, None)
    first_window = min(window, math.ceil(limit / prompt))
    assert stopped
    assert spending.spent.tokens >= limit - (prompt + reply)
    assert spending.spent.tokens < limit + prompt + reply + first_window * reply


@given(st.text())
def test_any_text_has_an_estimate(text: str) -> None:
    assert estimate_prompt_tokens([{"role": "user", "content": text}]) >= 8
    assert 0 <= estimate_reply_tokens(text, None) <= 2 * len(text)


@pytest.mark.parametrize("wrong", [{"total_tokens": 0}, {"money": -1}, {"tokens": 5}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"total_tokens|money|tokens"):
        SpendingLimits.model_validate(wrong)


@pytest.mark.parametrize(
    "fault", [lambda _: web.Response(text="x" * 3000), lambda _: completion("fine", tokens=(-(10**9), -(10**9)))]
)
def test_neither_unreadable_replies_nor_negative_counts_keep_a_limit_from_being_reached(
    tmp_path: Path, fault: Callable[[dict[str, Any]], web.Response]
) -> None:
    with ChatServer(fault) as server, pytest.raises(SpendingLimitError):
        table(tmp_path).save(limited(call_plan(server, {"a": texts(3000)}, max_in_flight=4), total_tokens=3000))
    assert len(server.calls) < 3000
