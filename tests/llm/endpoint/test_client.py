from __future__ import annotations

import json
from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from omr_kedro.llm.calls import Completion, Request, Sampling
from omr_kedro.llm.calls.errors import CallError
from omr_kedro.llm.endpoint import Constraint
from omr_kedro.llm.endpoint import client as client_module
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


async def test_a_bad_request_of_one_row_does_not_drop_the_constraint_whatever_its_body_echoes() -> None:
    def too_long(body: dict[str, Any]) -> web.Response | str:
        message = {"message": "too long: guided json_schema response_format structured_outputs"}
        return web.json_response(message, status=400) if "long" in str(body["messages"]) else "yes"

    long = replace(request("yes"), messages=[{"role": "user", "content": "a long post"}])
    with ChatServer(too_long) as server:
        async with ChatClient(server.base_url, "m", None, "response_format") as client:
            for asked in (long, request("yes"), long, request("yes")):
                with suppress(CallError):
                    await client.complete(asked, "k")
    constrained = ["response_format" in call.body for call in server.calls]
    # The first one is tried without, since no constrained reply was seen before; later ones are known to be at fault.
    assert constrained == [True, False, True, True, True]


async def test_the_body_is_read_whatever_its_unneeded_fields_hold() -> None:
    odd: list[dict[str, Any]] = [
        {"usage": [5]}, {"usage": "five"}, {"usage": {"prompt_tokens": True, "completion_tokens": -4}},
        {"usage": {"prompt_tokens": 2**63, "completion_tokens": 1.5}}, {"system_fingerprint": {"a": 1}},
        {"choices": [{"message": {"content": "fine"}, "finish_reason": {"a": 1}}]},
        {"choices": [{"message": {"content": "fine", "reasoning": [1], "reasoning_content": {}}}]},
        {"choices": [{"message": {"content": [{"type": "text", "text": "fi"}, {"type": "text", "text": "ne"}]}}]},
    ]  # fmt: skip
    plain = {"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}]}
    bodies = [json.dumps({**plain, **fields}).encode() for fields in odd]
    whole = json.dumps(plain).encode()
    bodies += [
        b"\xef\xbb\xbf" + whole,
        whole[:-1] + b', "created": NaN, "id": 1e999, "n": ' + b"9" * 6000 + b"}",
        whole.replace(b'"fine"', b'"fine", "name": "half \\ud800"'),
    ]
    for body in bodies:
        with ChatServer(lambda _, body=body: web.Response(body=body, status=201)) as server:  # type: ignore[misc]
            done = await ask(server, request())
        assert done.text == "fine", body[:200]
        assert all(0 <= count < 2**53 for count in (done.prompt_tokens, done.completion_tokens))


async def test_half_a_surrogate_in_a_reply_costs_that_character_alone() -> None:
    body = b'{"choices": [{"message": {"content": "x = 2 \\ud835 y"}}]}'
    with ChatServer(lambda _: web.Response(body=body)) as server:
        done = await ask(server, request())
    assert done.text == "x = 2 \ufffd y"
    done.text.encode()


@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_without_end_is_given_up_at_a_limit(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_REPLY_BYTES", 2**20)

    class Endless(ChatServer):
        async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            response = web.StreamResponse(status=status)
            await response.prepare(request)
            with suppress(ConnectionError):
                for _ in range(1000):
                    await response.write(b"x" * 2**16)
            return response

    with Endless() as server, pytest.raises(CallError) as failed:
        await ask(server, request())
    assert (failed.value.kind, failed.value.reply_bytes < 2**22) == ("garbage", True)


async def test_a_redirect_is_not_followed() -> None:
    with ChatServer() as other:
        there = web.Response(status=307, headers={"Location": f"{other.base_url}/chat/completions"})
        with ChatServer(lambda _: there) as server, pytest.raises(CallError) as failed:
            await ask(server, request(), api_key=SECRET)
    assert (failed.value.kind, other.calls) == ("moved", [])


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


@pytest.mark.parametrize("pad", [0, 60, 490, 1990])
@pytest.mark.parametrize("secret", [SECRET, "sk-a/b+c d%é/" * 3])
async def test_the_key_is_sent_and_never_shown_or_kept_however_the_server_spells_it(pad: int, secret: str) -> None:
    spelt = [secret, json.dumps(secret)[1:-1], quote(secret, safe=""), secret.replace("/", "\\/")]

    def error(_: dict[str, Any]) -> web.Response:
        return web.Response(status=400, text="x" * pad + " ".join(spelt))

    def reply(_: dict[str, Any]) -> web.Response:
        return web.json_response({
            "choices": [{"message": {"content": secret, "reasoning": secret}, "finish_reason": secret}],
            "system_fingerprint": secret,
        })  # fmt: skip

    with ChatServer(error) as server, pytest.raises(CallError) as failed:
        await ask(server, request(), api_key=secret)
    with ChatServer(reply) as other:
        done = await ask(other, request(), api_key=secret)
    shown = str(failed.value) + repr(failed.value) + failed.value.message + repr(done)
    assert server.calls[0].authorization is not None
    for spelling in spelt:
        assert spelling[:20] not in shown


def test_neither_entry_nor_client_shows_a_key_or_a_password() -> None:
    entry = ModelEntry("m", f"http://user:{SECRET}@127.0.0.1:9/v1", api_key=SECRET)
    assert SECRET not in repr(entry) + entry.place + repr(ChatModel(entry)) + repr(
        ChatClient("http://h/v1", "m", SECRET)
    )
    assert "127.0.0.1:9" in entry.place


async def test_user_and_password_of_an_address_are_sent_where_there_is_no_key() -> None:
    with ChatServer() as server:
        address = server.base_url.replace("://", "://me:pass%20word@")
        async with ChatClient(address, "m", None) as chat:
            await chat.complete(request(), "k")
        async with ChatClient(address, "m", SECRET) as chat:
            await chat.complete(request(), "k")
    assert [call.authorization for call in server.calls] == [
        f"Basic {b64encode(b'me:pass word').decode()}",
        f"Bearer {SECRET}",
    ]
