"""One HTTP call to an OpenAI-compatible chat endpoint.

aiohttp and orjson by hand instead of the openai package: measured beside each other at 512 calls in flight, the package
costs six times the CPU for each call and cannot keep the window full.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
import orjson

from omr_kedro.llm.calls.errors import MESSAGE_CHARS, CallError, error_of_status
from omr_kedro.llm.calls.request import Completion, Request
from omr_kedro.llm.endpoint.deadline import deadline
from omr_kedro.llm.endpoint.network import proxy_of, trust_of
from omr_kedro.llm.endpoint.redaction import Redactor, user_of, without_user
from omr_kedro.llm.endpoint.replies import read_reply

logger = logging.getLogger(__name__)

Constraint = Literal["response_format", "structured_outputs", "none"]
"""How a closed set of replies is asked for: OpenAI's field, vLLM's field, or by the prompt alone."""


MAX_REPLY_BYTES = 32 * 2**20
"""Longest body that is read, after decompression: a hundred times the longest reply of a context of 128,000 tokens."""
_CONNECT_S = 30.0


class ChatClient:
    """Sends requests to one endpoint; use as an async context manager."""

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None,
        constraint: Constraint = "none",
        timeout_s: float = 600,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        """Describe the endpoint; nothing is sent.

        Args:
            base_url: up to and including `/v1`; may hold user and password, which are sent where there is no key.
            model: name that the endpoint knows the model by.
            api_key: sent to this address alone, and never shown; redirects are not followed.
            constraint: how a closed set of replies is asked for.
            timeout_s: seconds of one try, from sending to the last byte.
            extra_body: fields of every request beside those that a call decides.
        """
        self.model = model
        self.constraint: Constraint = constraint
        self._constraint_works = False
        user = user_of(base_url)
        self._base_url = without_user(base_url).rstrip("/")
        self._url = f"{self._base_url}/chat/completions"
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        elif user:
            self._headers["Authorization"] = aiohttp.encode_basic_auth(*user)
        self._redactor = Redactor(api_key, user[1] if user else None)
        self._extra_body = dict(extra_body or {})
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the pool of connections.

        Raises:
            EndpointError: the environment names a proxy that cannot be used.
        """
        # The window bounds what is in flight; a second bound in the connection pool would only hide calls from it.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4, ssl=trust_of(self._base_url))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=min(_CONNECT_S, self._timeout_s))
        # No cookies: a chat endpoint needs none, and looking for them is a part of what each call costs.
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=proxy_of(self._base_url),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def complete(self, request: Request, key: str) -> Completion:
        """Make one try.

        Raises:
            CallError: with the kind of what went wrong; the key never stands in its text.
        """
        constraint = self.constraint if request.choices else "none"
        try:
            completion = await self._try(request, key, constraint)
        except CallError as refusal:
            # No word of the body is believed, since it may echo a post: that the same request is taken without the
            # constraint is the proof, as long as no constrained one was ever taken.
            if constraint == "none" or refusal.kind != "bad_request" or self._constraint_works:
                raise
            try:
                completion = await self._try(request, key, "none")
            except CallError:
                raise refusal from None
            if self.constraint != "none":
                self.constraint = "none"
                message = "%s does not take `%s`; from here on only the parser checks its labels."
                logger.warning(message, self.model, constraint)
            return completion
        self._constraint_works |= constraint != "none"
        return completion

    async def answers(self) -> bool:
        """Whether the server behind the endpoint answers at all; asks for its list of models, which costs nothing."""
        assert self._session is not None, "use the client as a context manager"  # noqa: S101
        try:
            async with (
                deadline(_CONNECT_S),
                self._session.get(f"{self._base_url}/models", allow_redirects=False) as response,
            ):
                return response.status < 500
        except (TimeoutError, aiohttp.ClientError, OSError):
            return False

    async def _try(self, request: Request, key: str, constraint: Constraint) -> Completion:
        assert self._session is not None, "use the client as a context manager"  # noqa: S101
        body = orjson.dumps(self._body(request, constraint))
        started = time.monotonic()
        try:
            async with (
                deadline(self._timeout_s),
                self._session.post(
                    self._url, data=body, headers={"X-Request-Id": key}, allow_redirects=False
                ) as response,
            ):
                status, headers = response.status, response.headers
                content = self._redactor.clean(await _bounded(response.content))
        except TimeoutError:
            raise CallError("timeout", f"no answer within {self._timeout_s:g} s") from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise CallError("untrusted", str(error.certificate_error)[:MESSAGE_CHARS]) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            message = self._redactor.clean_text(f"{type(error).__name__}: {error}")
            raise CallError("connection", message[:MESSAGE_CHARS]) from None
        if not 200 <= status < 300:
            raise error_of_status(status, content, headers)
        return read_reply(content, key, self.model, time.monotonic() - started)

    def _body(self, request: Request, constraint: Constraint) -> dict[str, Any]:
        sampling = request.sampling.wire(request.sample_index)
        body = {**self._extra_body, "model": self.model, "messages": request.messages, **sampling}
        if constraint == "structured_outputs":
            body["structured_outputs"] = {"choice": request.choices}
        elif constraint == "response_format":
            body["response_format"] = {"type": "json_schema", "json_schema": _label_schema(request.choices)}
        return body


async def _bounded(stream: aiohttp.StreamReader) -> bytes:
    """All of a body.

    Raises:
        CallError: it is longer than `MAX_REPLY_BYTES`.
    """
    first = await stream.readany()
    if stream.at_eof():
        return first
    parts, size = [first], len(first)
    while part := await stream.readany():
        parts.append(part)
        size += len(part)
        if size > MAX_REPLY_BYTES:
            message = f"the answer is longer than {MAX_REPLY_BYTES >> 20} MB and was not read to its end"
            raise CallError("garbage", message, reply_bytes=size)
    return b"".join(parts)


def _label_schema(choices: tuple[str, ...]) -> dict[str, Any]:
    label = {"type": "string", "enum": list(choices)}
    schema = {"type": "object", "properties": {"label": label}, "required": ["label"], "additionalProperties": False}
    return {"name": "label", "strict": True, "schema": schema}
