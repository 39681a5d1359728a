"""A model's entry decides what goes into each request, and by that what is paid for."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from omr_kedro.llm.calls import Request, Sampling
from omr_kedro.llm.engine import ChatModel, ModelEntry
from tests.support.call_plans import call_plan, rows, table, texts
from tests.support.chat_server import ChatServer

THINKING = {"chat_template_kwargs": {"enable_thinking": True}, "min_p": 0.1}
REQUEST = Request("row", [{"role": "user", "content": "2 + 2?"}], Sampling(), "prompt")


def test_fields_of_a_model_are_sent_with_every_request_and_decide_its_key(tmp_path: Path) -> None:
    with ChatServer() as server:
        plain = call_plan(server, {"a": texts(3)})
        told = replace(plain, model=ChatModel(ModelEntry("m", server.base_url, extra_body=THINKING)))
        for number, plan in enumerate((plain, told, plain, told)):
            table(tmp_path).save(replace(plan, fingerprints={"a": f"run {number}"}))
        bodies = [call.body for call in server.calls]
    assert len(bodies) == 6, "each is asked once, and found again when the entry is changed back"
    extras = [{name: body[name] for name in THINKING if name in body} for body in bodies]
    assert extras == [{}] * 3 + [THINKING] * 3
    assert {row["model"] for row in rows(tmp_path)} == {"m"}, "rows have the name alone"


def test_a_field_that_was_refused_is_left_out_by_all_stages_of_a_model_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def reply(body: dict[str, Any]) -> web.Response | str:
        error = {"error": {"message": "no", "param": "min_p"}}
        return web.json_response(error, status=400) if "min_p" in body else "yes"

    with ChatServer(reply) as server, caplog.at_level(logging.WARNING):
        model = ChatModel(ModelEntry("m", server.base_url, extra_body=THINKING))
        for stage in ("first", "second"):
            table(tmp_path / stage).save(replace(call_plan(server, {"a": texts(3)}), model=model))
        refused = ["min_p" in call.body for call in server.calls]
    assert sum(refused[-3:]) == 0, "the second stage knows it"
    assert len([record for record in caplog.records if "min_p" in record.getMessage()]) == 1
    first, second = (rows(tmp_path / stage) for stage in ("first", "second"))
    assert [row["call_key"] for row in first] == [row["call_key"] for row in second]


def test_replies_that_show_which_field_is_refused_are_charged(tmp_path: Path) -> None:
    def reply(body: dict[str, Any]) -> web.Response | str:
        return web.Response(status=422) if "min_p" in body else "yes"

    with ChatServer(reply) as server:
        model = ChatModel(ModelEntry("m", server.base_url, extra_body=THINKING))
        table(tmp_path).save(replace(call_plan(server, {"a": texts(3)}), model=model))
        replies = sum("min_p" not in call.body for call in server.calls)
    assert len(rows(tmp_path)) == 3
    assert replies > 3, "some were paid for to find it out"
    assert model.session.spending.spent.calls == replies


def test_without_such_fields_keys_are_what_they_always_were() -> None:
    entry = ModelEntry("m", "http://127.0.0.1/v1", context_tokens=4096)
    assert REQUEST.key(entry.identity) == REQUEST.key("m") == "eab0059b66f57758d9df0522e34657e9"


def test_what_a_call_decides_wins_over_a_field_of_the_model(tmp_path: Path) -> None:
    with ChatServer() as server:
        plan = call_plan(server, {"a": texts(1)})
        stubborn: dict[str, Any] = {"temperature": 2, "messages": []}
        table(tmp_path).save(replace(plan, model=ChatModel(ModelEntry("m", server.base_url, extra_body=stubborn))))
        (call,) = server.calls
    assert (call.body["temperature"], len(call.body["messages"])) == (0.0, 1)
