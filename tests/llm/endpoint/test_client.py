from __future__ import annotations

import asyncio
import json
import logging
import resource
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, get_args
from urllib.parse import quote

import pytest
from aiohttp import web

from omr_kedro.llm.calls import Completion, Request, Sampling
from omr_kedro.llm.calls.errors import CallError
from omr_kedro.llm.endpoint import ClientKind, Constraint, http
from omr_kedro.llm.endpoint.client import ChatClient
from omr_kedro.llm.endpoint.limits import Pacer
from omr_kedro.llm.engine import ChatModel, ModelEntry
from tests.support.chat_server import ChatServer, FaultyServer, completion
from tests.support.faults import KINDS, LARGE, Call, answer_to

SECRET = "nvapi-" + "q7W8e9" * 8


def request(*choices: str) -> Request:
    return Request("row", [{"role": "user", "content": "2 + 2?"}], Sampling(seed=1), "prompt", choices)


Connect = Callable[..., ChatClient]


@pytest.fixture(params=get_args(ClientKind))
def connect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """The contract of all HTTP clients: every test runs for each; keys of the package's own variables go nowhere."""
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"):
        monkeypatch.setenv(name, "sk-of-another-host")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-of-another-host")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    return partial(ChatClient, client=request.param)


async def ask(
    connect: Connect, server: ChatServer, asked: Request, constraint: Constraint = "none", **client: Any
) -> Completion:
    async with connect(server.base_url, "m", client.pop("api_key", None), constraint, **client) as chat:
        return await chat.complete(asked, "the-key")


async def test_only_what_is_needed_is_sent(connect: Connect) -> None:
    with ChatServer() as server:
        done = await ask(connect, server, request())
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


async def test_a_prompt_of_token_ids_is_continued_and_no_message_is_sent(connect: Connect) -> None:
    def go_on(body: dict[str, Any]) -> web.Response:
        choice = {"text": "four", "token_ids": [9, 8], "finish_reason": "stop", "stop_reason": "."}
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": len(body["prompt"])}})

    asked = replace(request(), prompt_ids=[1, 2, 3], stop=(".",), extra_body={"return_token_ids": True}, turn=1)
    with ChatServer(go_on) as server:
        done = await ask(connect, server, asked)
    body = server.calls[0].body
    assert (body["prompt"], body["stop"], body["return_token_ids"]) == ([1, 2, 3], ["."], True)
    assert "messages" not in body
    assert (done.text, done.token_ids, done.stop_reason, done.prompt_tokens) == ("four", [9, 8], ".", 3)


@pytest.mark.parametrize("ids", ["no ids", [-1], [2**31], [0.5], {"a": 1}])
async def test_token_ids_that_are_none_cost_no_reply(connect: Connect, ids: object) -> None:
    with ChatServer(lambda _: web.json_response({"choices": [{"text": "x", "token_ids": ids}]})) as server:
        done = await ask(connect, server, replace(request(), prompt_ids=[1]))
    assert (done.text, done.token_ids) == ("x", None)


async def test_fields_of_one_request_win_over_those_of_the_models_entry(connect: Connect) -> None:
    with ChatServer() as server:
        await ask(connect, server, replace(request(), extra_body={"a": 2}), extra_body={"a": 1, "b": 1})
    assert {name: server.calls[0].body[name] for name in "ab"} == {"a": 2, "b": 1}


async def test_a_closed_set_of_replies_is_asked_for_in_the_endpoints_way(connect: Connect) -> None:
    with ChatServer() as server:
        await ask(connect, server, request("yes", "no"), "structured_outputs")
        await ask(connect, server, request("yes", "no"), "response_format")
        await ask(connect, server, request("yes", "no"), "none")
    vllm, schema, free = (call.body for call in server.calls)
    assert vllm["structured_outputs"] == {"choice": ["yes", "no"]}
    label = schema["response_format"]["json_schema"]["schema"]["properties"]["label"]
    assert label["enum"] == ["yes", "no"]
    assert not {"structured_outputs", "response_format"} & free.keys()


async def test_an_endpoint_that_refuses_constraints_is_asked_without_from_then_on(connect: Connect) -> None:
    def reply(body: dict[str, Any]) -> web.Response | str:
        if "response_format" in body:
            return web.json_response({"message": "Unsupported parameter(s): `response_format`"}, status=400)
        return "yes"

    with ChatServer(reply) as server:
        async with connect(server.base_url, "m", None, "response_format") as client:
            assert (await client.complete(request("yes"), "k")).text == "yes"
            assert (await client.complete(request("yes"), "k")).text == "yes"
    # Refused; taken without anything that may be at fault; taken and refused field by field; as it was learnt.
    assert ["response_format" in call.body for call in server.calls] == [True, False, False, False, False]
    assert ["temperature" in call.body for call in server.calls] == [True, False, True, True, True]


@pytest.mark.parametrize(
    "body", ["", "no json", '{"choices": []}', '{"choices": [{"message": {"content": 5}}]}', "[1]", '{"choices": [{}]}']
)
async def test_an_answer_without_a_reply_is_garbage(connect: Connect, body: str) -> None:
    with ChatServer(lambda _: web.Response(text=body)) as server, pytest.raises(CallError) as failed:
        await ask(connect, server, request())
    assert failed.value.kind == "garbage"


async def test_reasoning_is_kept_apart_and_no_content_is_an_empty_reply(connect: Connect) -> None:
    with ChatServer(lambda _: completion(None, reasoning_content="well")) as server:
        done = await ask(connect, server, request())
    assert (done.text, done.reasoning) == ("", "well")


async def test_each_sample_is_drawn_with_a_seed_of_its_own(connect: Connect) -> None:
    with ChatServer() as server:
        for number in range(3):
            await ask(
                connect, server, replace(request(), sampling=Sampling(temperature=0.7, seed=5), sample_index=number)
            )
    assert [call.body["seed"] for call in server.calls] == [5, 6, 7]


async def test_a_bad_request_of_one_row_does_not_drop_the_constraint_whatever_its_body_echoes(connect: Connect) -> None:
    def too_long(body: dict[str, Any]) -> web.Response | str:
        message = {"message": "too long: guided json_schema response_format structured_outputs"}
        return web.json_response(message, status=400) if "long" in str(body["messages"]) else "yes"

    long = replace(request("yes"), messages=[{"role": "user", "content": "a long post"}])
    with ChatServer(too_long) as server:
        async with connect(server.base_url, "m", None, "response_format") as client:
            for asked in (long, request("yes"), long, request("yes")):
                with suppress(CallError):
                    await client.complete(asked, "k")
    constrained = ["response_format" in call.body for call in server.calls]
    # The first one is tried without, since no constrained reply was seen before; later ones are known to be at fault.
    assert constrained == [True, False, True, True, True]


async def test_the_body_is_read_whatever_its_unneeded_fields_hold(connect: Connect) -> None:
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
            done = await ask(connect, server, request())
        assert done.text == "fine", body[:200]
        assert all(0 <= count < 2**53 for count in (done.prompt_tokens, done.completion_tokens))


async def test_half_a_surrogate_in_a_reply_costs_that_character_alone(connect: Connect) -> None:
    body = b'{"choices": [{"message": {"content": "x = 2 \\ud835 y"}}]}'
    with ChatServer(lambda _: web.Response(body=body)) as server:
        done = await ask(connect, server, request())
    assert done.text == "x = 2 \ufffd y"
    done.text.encode()


@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_without_end_is_given_up_at_a_limit(
    connect: Connect, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_REPLY_BYTES", 2**20)

    class Endless(ChatServer):
        async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            response = web.StreamResponse(status=status)
            await response.prepare(request)
            with suppress(ConnectionError):
                for _ in range(1000):
                    await response.write(b"x" * 2**16)
            return response

    with Endless() as server, pytest.raises(CallError) as failed:
        await ask(connect, server, request())
    assert (failed.value.kind, failed.value.reply_bytes < 2**22) == ("garbage", True)


async def test_what_openais_error_names_is_not_sent_again_and_told_once(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    refused = {"max_tokens": "unsupported_parameter", "temperature": "unsupported_value", "min_p": None}

    def reply(body: dict[str, Any]) -> web.Response | str:
        for name, code in refused.items():
            if name in body:
                error = {"message": f"'{name}' is not supported", "type": "invalid_request_error", "param": name}
                return web.json_response({"error": {**error, "code": code}}, status=400)
        return "4"

    asked = replace(request(), sampling=Sampling(max_tokens=7, top_p=0.9))
    with ChatServer(reply) as server, caplog.at_level(logging.WARNING):
        async with connect(server.base_url, "m", None, extra_body={"min_p": 0.1}) as chat:
            done = await asyncio.gather(*(chat.complete(asked, str(number)) for number in range(5)))
            await chat.complete(asked, "later")
    assert [reply.text for reply in done] == ["4"] * 5
    assert server.calls[-1].body == {
        "model": "m", "messages": asked.messages, "max_completion_tokens": 7, "top_p": 0.9,
    }  # fmt: skip
    assert sorted(record.getMessage().split("`")[1] for record in caplog.records) == sorted(refused)
    assert len(server.calls) <= 5 + 3 + 1 + 4 + 1, "the others waited for the one that found out"


async def test_replies_that_were_paid_for_on_the_way_are_handed_over(connect: Connect) -> None:
    def reply(body: dict[str, Any]) -> web.Response | str:
        return web.Response(status=400) if "temperature" in body else "yes"

    spare: list[Completion] = []
    with ChatServer(reply) as server:
        async with connect(server.base_url, "m", None) as chat:
            await chat.complete(request(), "k", spare.append)
            assert len(spare) == sum("temperature" not in call.body for call in server.calls) - 1


async def test_an_unsuccessful_status_is_a_kind_of_error_with_the_servers_words(connect: Connect) -> None:
    kinds = {401: "no_access", 402: "no_money", 403: "forbidden", 404: "not_found", 410: "gone", 429: "throttled",
             500: "server_error", 503: "overloaded", 302: "moved"}  # fmt: skip
    for status, kind in kinds.items():
        answer = web.Response(status=status, text="its words", headers={"Retry-After": "7"})
        with ChatServer(lambda _, answer=answer: answer) as server, pytest.raises(CallError) as failed:  # type: ignore[misc]
            await ask(connect, server, request())
        assert (failed.value.kind, failed.value.retry_after_s) == (kind, 7.0)
        assert failed.value.message == f"HTTP {status}: its words"
        assert len(server.calls) == 1, "the engine tries again, not the client"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_compressed_answers_are_read_and_damaged_ones_may_pass(connect: Connect, encoding: str) -> None:
    def compressed(_: dict[str, Any]) -> web.Response:
        response = completion("fine")
        response.enable_compression(web.ContentCoding(encoding))
        return response

    with ChatServer(compressed) as server:
        assert (await ask(connect, server, request())).text == "fine"
    damaged = web.Response(body=b"no such stream", headers={"Content-Encoding": encoding})
    with ChatServer(lambda _: damaged) as server, pytest.raises(CallError) as failed:
        await ask(connect, server, request())
    assert (failed.value.kind, failed.value.retryable) == ("connection", True)


async def test_tries_that_find_out_keep_the_pace(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    pacer = Pacer(None)
    waited: list[int] = []

    async def wait() -> None:
        waited.append(1)

    monkeypatch.setattr(pacer, "wait", wait)
    with ChatServer(lambda body: web.Response(status=400) if "seed" in body else "yes") as server:
        async with connect(server.base_url, "m", None, pacer=pacer) as chat:
            await chat.complete(request(), "k")
    assert len(server.calls) > 2
    assert len(waited) == len(server.calls) - 1, "whoever calls has waited for the first"


async def test_whether_a_server_answers_at_all_costs_nothing(connect: Connect) -> None:
    with ChatServer() as server:
        async with connect(server.base_url, "m", None) as there:
            assert await there.answers()
    async with connect(server.base_url, "m", None) as away:
        assert not await away.answers()


async def test_a_redirect_is_not_followed(connect: Connect) -> None:
    with ChatServer() as other:
        there = web.Response(status=307, headers={"Location": f"{other.base_url}/chat/completions"})
        with ChatServer(lambda _: there) as server, pytest.raises(CallError) as failed:
            await ask(connect, server, request(), api_key=SECRET)
    assert (failed.value.kind, other.calls) == ("moved", [])


async def test_a_connection_that_is_cut_is_an_error_that_may_pass(connect: Connect) -> None:
    with FaultyServer(["cut"]) as server, pytest.raises(CallError) as failed:
        await ask(connect, server, request())
    assert (failed.value.kind, failed.value.retryable) == ("connection", True)


async def test_silence_and_a_closed_port_are_told_apart(connect: Connect) -> None:
    with ChatServer(latency_s=5) as server, pytest.raises(CallError) as silent:
        await ask(connect, server, request(), timeout_s=0.2)
    with pytest.raises(CallError) as closed:
        await ask(connect, server, request())
    assert (silent.value.kind, closed.value.kind) == ("timeout", "connection")


@pytest.mark.parametrize("pad", [0, 60, 490, 1990])
@pytest.mark.parametrize("secret", [SECRET, "sk-a/b+c d%é/" * 3])
async def test_the_key_is_sent_and_never_shown_or_kept_however_the_server_spells_it(
    connect: Connect, pad: int, secret: str
) -> None:
    spelt = [secret, json.dumps(secret)[1:-1], quote(secret, safe=""), secret.replace("/", "\\/")]

    def error(_: dict[str, Any]) -> web.Response:
        return web.Response(status=400, text="x" * pad + " ".join(spelt))

    def reply(_: dict[str, Any]) -> web.Response:
        return web.json_response({
            "choices": [{"message": {"content": secret, "reasoning": secret}, "finish_reason": secret}],
            "system_fingerprint": secret,
        })  # fmt: skip

    with ChatServer(error) as server, pytest.raises(CallError) as failed:
        await ask(connect, server, request(), api_key=secret)
    with ChatServer(reply) as other:
        done = await ask(connect, other, request(), api_key=secret)
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


async def test_user_and_password_of_an_address_are_sent_where_there_is_no_key(connect: Connect) -> None:
    with ChatServer() as server:
        address = server.base_url.replace("://", "://me:pass%20word@")
        async with connect(address, "m", None) as chat:
            await chat.complete(request(), "k")
        async with connect(address, "m", SECRET) as chat:
            await chat.complete(request(), "k")
    assert [call.authorization for call in server.calls] == [
        f"Basic {b64encode(b'me:pass word').decode()}",
        f"Bearer {SECRET}",
    ]


def test_the_package_is_imported_only_where_it_is_chosen() -> None:
    script = "import sys, omr_kedro.settings, omr_kedro.datasets; sys.exit('openai' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


MEANINGS = {
    "passing": {"throttled", "overloaded", "server_error", "connection"},
    "silent": {"timeout"},
    "rejecting": {"bad_request", "forbidden", "not_found"},
    "stopping": {"no_access", "no_money", "gone", "moved"},
    "unreadable": {"garbage", "connection"},
}
"""Kinds of errors that faults of the wire and of bodies may become."""


@pytest.mark.parametrize("fault", [fault for fault in KINDS if fault not in LARGE])
async def test_each_fault_of_an_endpoint_has_its_meaning_and_shows_no_key(connect: Connect, fault: str) -> None:
    meaning = KINDS[fault]
    # A request that is refused is tried in another form.
    with FaultyServer(
        [fault] * 9 if meaning == "rejecting" else [fault], reply=lambda _: 'x = "2" \u2264 \\frac{1}{2}\n'
    ) as server:
        try:
            limit_s = 0.4 if meaning == "silent" else 10
            done = await ask(connect, server, request(), api_key=SECRET, timeout_s=limit_s)
        except CallError as error:
            assert error.kind in MEANINGS[meaning], error  # noqa: PT017 (some faults raise, some do not)
            shown = str(error) + repr(error)
        else:
            assert meaning in ("same", "odd", "cut short")
            assert done.text.startswith("" if fault == "empty" else 'x = "2" \u2264 \\frac{1}{2}\n')
            assert done.cut == (meaning == "cut short" and fault != "empty")
            assert meaning != "same" or (done.prompt_tokens, done.completion_tokens) == (10, len(done.text) // 4)
            assert 0 <= done.prompt_tokens < 2**53
            shown = repr(done)
    assert SECRET[:12] not in shown
    assert server.calls[0].authorization == f"Bearer {SECRET}"


@pytest.mark.parametrize("fault", LARGE)
async def test_no_body_takes_more_memory_than_a_reply_may(connect: Connect, fault: str) -> None:
    with FaultyServer([fault] * 2) as server:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(2):
            with pytest.raises(CallError) as failed:
                await ask(connect, server, request(), timeout_s=30)
            assert failed.value.kind == "garbage"
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 200 * 1024


async def test_memory_does_not_grow_with_the_number_of_bodies_that_are_too_long(connect: Connect) -> None:
    with FaultyServer(["200 MB", "endless"] * 20) as server:
        async with connect(server.base_url, "m", None, timeout_s=60) as chat:

            async def kind_of_error(number: int) -> str:
                # Not the error itself: its traceback holds what was read.
                try:
                    return (await chat.complete(request(), str(number))).text
                except CallError as error:
                    return error.kind

            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            ended = await asyncio.gather(*map(kind_of_error, range(40)))
    assert ended == ["garbage"] * 40
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500 * 1024


async def test_the_same_call_gets_the_same_bytes() -> None:
    def sent(name: str, seed: str) -> bytes:
        call = Call.of("text", b"posted", "Bearer k", seed)
        return b"".join(answer_to(name, call).pieces)

    for name in ("odd usage", "odd fingerprint", "bytes", "chunked", "429 of no date", "403"):
        assert sent(name, "a") == sent(name, "a")
        assert len({sent(name, str(seed)) for seed in range(30)}) > 1
