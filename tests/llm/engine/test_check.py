"""The check of an endpoint says in one sentence why no call would be answered, and refuses no server that would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from omr_kedro.llm.calls import EndpointError
from omr_kedro.llm.endpoint.http import ClientKind
from omr_kedro.llm.engine import ModelEntry, ModelSession, Reached, check, check_endpoint
from tests.support.chat_server import ChatServer, completion

LISTED = {"object": "list", "data": [{"id": "qwen2.5-7b"}, {"id": "qwen2.5-32b"}, {"id": "llama3"}]}


class Endpoint(ChatServer):
    """A server with a list of models, an answer to calls, and a path of its own."""

    def __init__(self, answer: Callable[[], web.StreamResponse], models: Any = None, status: int = 200) -> None:
        super().__init__(lambda _: answer())  # type: ignore[arg-type, return-value]
        self.models, self.status = models, status
        self.authorization: str | None = None

    async def list_models(self, request: web.Request) -> web.StreamResponse:
        self.authorization = request.headers.get("Authorization")
        if self.models == "hang":
            await asyncio.sleep(30)
        if isinstance(self.models, bytes):
            return web.Response(body=self.models)
        return web.json_response(self.models, status=self.status)


def refuse(status: int, **body: Any) -> Callable[[], web.StreamResponse]:
    return lambda: web.json_response(body, status=status)


def answer(model: str | None = None) -> Callable[[], web.StreamResponse]:
    return lambda: completion("1", "length", model=model)


async def checked(url: str, model: str = "qwen2.5-7b", **entry: Any) -> Reached:
    return await check_endpoint(ModelSession(ModelEntry(model, url, key_variable="OMR_API_KEY", **entry)))


async def refusal(url: str, model: str = "qwen2.5-7b", **entry: Any) -> str:
    with pytest.raises(EndpointError) as refused:
        await checked(url, model, **entry)
    return str(refused.value)


@pytest.mark.parametrize(
    ("models", "status"), [(LISTED, 200), ({"detail": "Not Found"}, 404), ({"data": []}, 200), ([], 401), ("x", 500)]
)
async def test_a_server_that_answers_the_call_is_good_whatever_it_lists(models: Any, status: int) -> None:
    with Endpoint(answer("qwen2.5-7b"), models, status) as server:
        found = await checked(server.base_url)
    assert (found.served, found.doubt, found.listed) == ("qwen2.5-7b", "", 3 if models is LISTED else 0)
    assert "answered a call of one token" in str(found)
    (probe,) = server.probes
    assert probe.body["max_tokens"] == 1
    assert server.calls == []


@pytest.mark.parametrize("client", ["aiohttp", "openai"])
async def test_every_client_finds_the_same(client: ClientKind) -> None:
    with Endpoint(answer("qwen2.5-7b"), LISTED) as server:
        assert (await checked(server.base_url, client=client)).listed == 3
    with Endpoint(refuse(404), LISTED) as server:
        assert "It serves no model 'qwen'." in await refusal(server.base_url, "qwen", client=client)
    with Endpoint(refuse(401), LISTED, 401) as server:
        assert "set the environment variable OMR_API_KEY" in await refusal(server.base_url, client=client)
    assert "Nothing answers there" in await refusal(server.base_url, client=client)


async def test_a_model_that_is_not_listed_but_answers_is_good() -> None:
    with Endpoint(answer(), LISTED) as server:
        assert (await checked(server.base_url, "an-alias")).doubt == ""


@pytest.mark.parametrize("status", [404, 400, 410])
async def test_a_wrong_model_is_answered_with_those_that_are_listed(status: int) -> None:
    with Endpoint(refuse(status, error={"message": "no such \x1b[2Jmodel"}), LISTED) as server:
        told = await refusal(server.base_url, "qwen2.5-7")
    assert "It serves no model 'qwen2.5-7'. Did you mean qwen2.5-7b or qwen2.5-32b?" in told
    assert "It lists qwen2.5-7b, qwen2.5-32b, llama3." in told
    assert f"HTTP {status}" in told
    assert "no such" in told
    assert "\x1b" not in told


async def test_many_models_are_offered_the_nearest_first_and_not_all() -> None:
    many = {"data": [{"id": f"model-{number}"} for number in range(3000)] + [{"id": "qwen2.5-7b"}]}
    with Endpoint(refuse(404), many) as server:
        told = await refusal(server.base_url, "qwen2.5-7")
    assert "It lists qwen2.5-7b, model-0" in told
    assert "and 2,993 more" in told
    assert len(told) < 1000


async def test_a_wrong_path_is_told_from_a_wrong_model_and_answered_with_the_right_one() -> None:
    with Endpoint(answer(), LISTED) as server:
        for wrong in (server.base_url.removesuffix("/v1"), f"{server.base_url}/chat/completions"):
            told = await refusal(wrong)
            assert f"Nothing is served at this path; did you mean {server.base_url}, which answers?" in told


async def test_a_server_that_lists_nothing_leaves_it_open_whether_path_or_model_is_wrong() -> None:
    with Endpoint(refuse(404, detail="Function 'f' not found"), {}, 404) as server:
        told = await refusal(server.base_url)
    assert "Function 'f' not found" in told
    assert "Either the path is wrong (most end in /v1), or there is no model 'qwen2.5-7b'" in told


async def test_a_model_that_is_retired_is_told_from_a_wrong_path_also_where_nothing_is_listed() -> None:
    with Endpoint(refuse(410, detail="end of life"), {}, 404) as server:
        assert "does not serve the model 'qwen2.5-7b': hosted ones are retired" in await refusal(server.base_url)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_is_missing_or_refused_names_its_variable_and_is_never_shown(status: int) -> None:
    secret = "sk-" + "a1B2c3" * 6
    with Endpoint(refuse(status, error={"message": f"bad key {secret}"}), LISTED, status) as server:
        assert "The endpoint wants a key: set the environment variable OMR_API_KEY." in await refusal(server.base_url)
        told = await refusal(server.base_url, api_key=secret)
    assert server.authorization == f"Bearer {secret}"
    assert "does not accept the key: check the environment variable OMR_API_KEY." in told
    assert "bad key [key]" in told
    assert secret not in told


async def test_an_account_without_money_says_so() -> None:
    with Endpoint(refuse(429, error={"code": "insufficient_quota"}), LISTED) as server:
        assert "no balance or quota left" in await refusal(server.base_url)


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("127.0.0.1:9000/v1", "Did you mean http://127.0.0.1:9000/v1?"),
        ("localhost:9000/v1", "Did you mean http://localhost:9000/v1?"),
        ("api.example.com/v1", "Did you mean https://api.example.com/v1?"),
        ("ftp://host/v1", "begins with http:// or https://"),
        ("http://", "begins with http:// or https://"),
        ("http://host:port/v1", "begins with http:// or https://"),
        ("http://[::1/v1", "begins with http:// or https://"),
        ("user:sesame-open@host/v1", "Did you mean https://host/v1?"),
    ],
)
async def test_an_address_without_a_scheme_is_seen_before_anything_is_sent(url: str, meant: str) -> None:
    told = await refusal(url)
    assert meant in told
    assert "sesame" not in told


async def test_a_place_where_nothing_listens_is_named(unused_tcp_port: int) -> None:
    told = await refusal(f"http://127.0.0.1:{unused_tcp_port}/v1")
    assert f"http://127.0.0.1:{unused_tcp_port}/v1" in told
    assert "Nothing answers there" in told


@pytest.mark.parametrize("status", [429, 500, 503, 400])
async def test_a_refusal_that_may_pass_or_be_of_this_call_alone_is_a_doubt_and_no_error(status: int) -> None:
    with Endpoint(refuse(status, detail="busy\nnow"), LISTED) as server:
        found = await checked(server.base_url)
    assert found.served == ""
    assert f'HTTP {status}: {{"detail": "busy\\nnow"}}' in found.doubt


async def test_a_server_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check._LIST_S + check._CALL_S + check._GUESS_S < 2 * 5
    assert max(check._LIST_S, check._CALL_S) + check._GUESS_S < 5
    monkeypatch.setattr(check, "_CALL_S", 0.2)
    monkeypatch.setattr(check, "_LIST_S", 0.1)
    with Endpoint(answer(), "hang") as server:
        server._latency_s = 30
        found = await checked(server.base_url)
    assert "no answer within 0.2 s" in found.doubt


@pytest.mark.parametrize(
    "body", ['{"data": "x"}', '{"data": [{"id": 7}, "a", null]}', "[[[", '"' + "x" * 10_000, "\xff"]
)
async def test_a_list_that_is_none_lists_nothing(body: str) -> None:
    with Endpoint(answer(), body.encode("latin-1")) as server:
        assert (await checked(server.base_url)).listed == 0


class Hasty(Endpoint):
    """Hangs up at once on some calls, and answers the others."""

    def __init__(self, hangs_up: int) -> None:
        super().__init__(answer(), LISTED)
        self.hangs_up = hangs_up

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if self.hangs_up:
            self.hangs_up -= 1
            assert request.transport is not None
            request.transport.abort()
        return await super().answer(request, body)


async def test_one_broken_answer_proves_nothing() -> None:
    answers = iter([web.Response(text="<html>"), completion("1", "length")])
    with Endpoint(lambda: next(answers), LISTED) as server:
        assert not (await checked(server.base_url)).doubt
    with Hasty(1) as server:
        assert not (await checked(server.base_url)).doubt


async def test_a_server_that_lists_its_models_and_cuts_its_answers_is_a_doubt() -> None:
    with Hasty(9) as server:
        assert "has not answered" in (await checked(server.base_url)).doubt
