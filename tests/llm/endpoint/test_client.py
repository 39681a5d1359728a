from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from omr_kedro.llm.calls import Completion, Request, Sampling
from omr_kedro.llm.calls.errors import CallError
from omr_kedro.llm.endpoint import Constraint
from omr_kedro.llm.endpoint.client import ChatClient
from omr_kedro.llm.engine import ChatModel, ModelEntry
from tests.support.chat_server import ChatServer, FaultyServer, completion

SECRET = "nvapi-" + "q7W8e9" * 8


def request(*choices: str) -> Request:
    return Request("row", [{"role": "user", "content": "2 + 2?"}], Sampling(seed=1), "prompt", choices)


async def ask(server: ChatServer, asked: Request, constraint: Constraint = "none", **client: Any) -> Completion:
    async with ChatClient(server.base_url, "m", client.pop("api_key", None), constraint, **client) as chat:
        return await chat.complete(asked, "the-key")


async def test_only_what_is_needed_is_sent() -> None:
    with ChatServer() as server:
        done = await ask(server, request())
    assert server.calls[0].body == {
        "model": "m", "messages": [{"role": "user", "content": "2 + 2?"}], "temperature": 0.0, "seed": 1,
    }  # fmt: skip
    assert server.calls[0].key == "the-key"
    assert server.calls[0].authorization is None
    assert (done.text, done.finish_reason, done.prompt_tokens, done.system_fingerprint) == (
        "fine",
        "stop",
        10,
        "test-1",
    )


async def test_a_closed_set_of_replies_is_asked_for_in_the_endpoints_way() -> None:
    with ChatServer() as server:
        await ask(server, request("yes", "no"), "structured_outputs")
        await ask(server, request("yes", "no"), "response_format")
        await ask(server, request("yes", "no"), "none")
    vllm, schema, free = (call.body for call in server.calls)
    assert vllm["structured_outputs"] == {"choice": ["yes", "no"]}
    label = schema["response_format"]["json_schema"]["schema"]["properties"]["label"]
    assert label["enum"] == ["yes", "no"]
    assert not {"structured_outputs", "response_format"} & free.keys()


async def test_an_endpoint_that_refuses_constraints_is_asked_without_from_then_on() -> None:
    def reply(body: dict[str, Any]) -> web.Response | str:
        if "response_format" in body:
            return web.json_response({"message": "Unsupported parameter(s): `response_format`"}, status=400)
        return "yes"

    with ChatServer(reply) as server:
        async with ChatClient(server.base_url, "m", None, "response_format") as client:
            assert (await client.complete(request("yes"), "k")).text == "yes"
            assert (await client.complete(request("yes"), "k")).text == "yes"
    assert ["response_format" in call.body for call in server.calls] == [True, False, False]


@pytest.mark.parametrize(
    "body", ["", "no json", '{"choices": []}', '{"choices": [{"message": {"content": 5}}]}', "[1]", '{"choices": [{}]}']
)
async def test_an_answer_without_a_reply_is_garbage(body: str) -> None:
    with ChatServer(lambda _: web.Response(text=body)) as server, pytest.raises(CallError) as failed:
        await ask(server, request())
    assert failed.value.kind == "garbage"


async def test_reasoning_is_kept_apart_and_no_content_is_an_empty_reply() -> None:
    with ChatServer(lambda _: completion(None, reasoning_content="well")) as server:
        done = await ask(server, request())
    assert (done.text, done.reasoning) == ("", "well")


async def test_each_sample_is_drawn_with_a_seed_of_its_own() -> None:
    with ChatServer() as server:
        for number in range(3):
            await ask(server, replace(request(), sampling=Sampling(temperature=0.7, seed=5), sample_index=number))
    assert [call.body["seed"] for call in server.calls] == [5, 6, 7]


async def test_another_bad_request_does_not_drop_the_constraint() -> None:
    with ChatServer(lambda _: web.json_response({"message": "too long"}, status=400)) as server:
        async with ChatClient(server.base_url, "m", None, "response_format") as client:
            for _ in range(2):
                with pytest.raises(CallError):
                    await client.complete(request("yes"), "k")
    assert ["response_format" in call.body for call in server.calls] == [True, True]


async def test_a_connection_that_is_cut_is_an_error_that_may_pass() -> None:
    with FaultyServer(["cut"]) as server, pytest.raises(CallError) as failed:
        await ask(server, request())
    assert (failed.value.kind, failed.value.retryable) == ("connection", True)


async def test_silence_and_a_closed_port_are_told_apart() -> None:
    with ChatServer(latency_s=5) as server, pytest.raises(CallError) as silent:
        await ask(server, request(), timeout_s=0.2)
    with pytest.raises(CallError) as closed:
        await ask(server, request())
    assert (silent.value.kind, closed.value.kind) == ("timeout", "connection")


async def test_the_key_is_sent_and_never_shown_even_when_the_server_repeats_it() -> None:
    def echo(_: dict[str, Any]) -> web.Response:
        return web.Response(status=400, text=f"bad key {SECRET}")

    with ChatServer(echo) as server, pytest.raises(CallError) as failed:
        await ask(server, request(), api_key=SECRET)
    assert server.calls[0].authorization == f"Bearer {SECRET}"
    assert SECRET not in str(failed.value) + repr(failed.value) + failed.value.message
    assert SECRET not in repr(ChatModel(ModelEntry("m", server.base_url, api_key=SECRET)))
    assert SECRET not in repr(ChatClient(server.base_url, "m", SECRET))
