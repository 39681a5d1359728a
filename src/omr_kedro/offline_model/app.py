"""The HTTP application: its addresses, and errors in OpenAI's shape."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from hmac import compare_digest
from typing import Any

import orjson
from aiohttp import web

from omr_kedro.llm.calls import Prompt
from omr_kedro.offline_model.replies import completion, models, token_ids
from omr_kedro.offline_model.requests import ApiError, Call, read_chat, read_continuation, read_text
from omr_kedro.offline_model.stages import answer

_LARGEST_BODY = 64 * 2**20
_PROMPTS = web.AppKey("prompts", Sequence[Prompt])
_KEY = web.AppKey("key", str)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)


def make_app(prompts: Sequence[Prompt], key: str = "") -> web.Application:
    """The application that answers these prompts; with a key, only those who have it."""
    app = web.Application(middlewares=[_errors, _key_holders], client_max_size=_LARGEST_BODY)
    app[_PROMPTS] = prompts
    app[_KEY] = key
    app.router.add_get("/health", _health)
    app.router.add_get("/v1/models", _models)
    app.router.add_post("/v1/chat/completions", _chat)
    app.router.add_post("/v1/completions", _continuation)
    # vLLM has it beside /v1.
    app.router.add_post("/tokenize", _tokenize)
    return app


async def _health(_: web.Request) -> web.Response:
    return web.Response()


async def _models(_: web.Request) -> web.Response:
    return _json(models())


async def _chat(request: web.Request) -> web.Response:
    return _answered(request, read_chat(await _body(request)))


async def _continuation(request: web.Request) -> web.Response:
    return _answered(request, read_continuation(await _body(request)))


async def _tokenize(request: web.Request) -> web.Response:
    return _json(token_ids(read_text(await _body(request))))


async def _body(request: web.Request) -> Any:
    try:
        return orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise ApiError(f"the body is not JSON: {error}") from None


def _answered(request: web.Request, call: Call) -> web.Response:
    request_id = request.headers.get("X-Request-Id") or uuid.uuid4().hex
    prompts = request.app[_PROMPTS]
    return _json(completion(call, [answer(call, prompts, call.seed + index) for index in range(call.n)], request_id))


@web.middleware
async def _errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return _json(error.body(), error.status)
    except web.HTTPException as error:
        failure = ApiError(f"{request.method} {request.path}: {error.reason}", None, error.status, type(error).__name__)
        return _json(failure.body(), error.status)
    except Exception as error:
        log.exception("a rule failed")
        failure = ApiError(f"a rule failed: {type(error).__name__}", None, 500, "InternalServerError")
        return _json(failure.body(), 500)


@web.middleware
async def _key_holders(request: web.Request, handler: _Handler) -> web.StreamResponse:
    given, key = request.headers.get("Authorization", ""), request.app[_KEY]
    if key and request.path.startswith("/v1") and not compare_digest(given.encode(), f"Bearer {key}".encode()):
        raise ApiError("this server wants a key, and this is another one or none", None, 401, "Unauthorized")
    return await handler(request)


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
