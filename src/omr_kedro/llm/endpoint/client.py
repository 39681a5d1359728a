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

from omr_kedro.llm.calls.errors import CallError, error_of_status
from omr_kedro.llm.calls.request import Completion, Request

logger = logging.getLogger(__name__)

Constraint = Literal["response_format", "structured_outputs", "none"]
"""How a closed set of replies is asked for: OpenAI's field, vLLM's field, or by the prompt alone."""


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
            base_url: up to and including `/v1`.
            model: the name that the endpoint knows the model by.
            api_key: sent to the endpoint, and never shown.
            constraint: how a closed set of replies is asked for.
            timeout_s: of one try, from sending to the last byte.
            extra_body: fields of every request beside those that a call decides.
        """
        self.model = model
        self.constraint: Constraint = constraint
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._secret = api_key
        self._extra_body = dict(extra_body or {})
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(30, timeout_s))
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # The window bounds what is in flight; a second bound in the connection pool would only hide calls from it.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4)
        # No cookies: a chat endpoint needs none, and looking for them is a part of what each call costs.
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=self._timeout, headers=self._headers, cookie_jar=aiohttp.DummyCookieJar()
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
        assert self._session is not None, "use the client as a context manager"  # noqa: S101
        constraint = self.constraint
        body = orjson.dumps(self._body(request, constraint))
        started = time.monotonic()
        try:
            async with self._session.post(self._url, data=body, headers={"X-Request-Id": key}) as response:
                content = await response.read()
                status, headers = response.status, response.headers
        except TimeoutError:
            raise CallError("timeout", f"no answer within {self._timeout.total:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise CallError("connection", self._redact(f"{type(error).__name__}: {error}")) from None
        if status != 200:
            failure = error_of_status(status, content, headers)
            if self._drops_constraint(failure, request, constraint):
                return await self.complete(request, key)
            raise CallError(failure.kind, self._redact(failure.message), failure.retry_after_s)
        return self._read(content, key, time.monotonic() - started)

    def _body(self, request: Request, constraint: Constraint) -> dict[str, Any]:
        sampling = request.sampling.wire(request.sample_index)
        body = {**self._extra_body, "model": self.model, "messages": request.messages, **sampling}
        if request.choices and constraint == "structured_outputs":
            body["structured_outputs"] = {"choice": request.choices}
        elif request.choices and constraint == "response_format":
            body["response_format"] = {"type": "json_schema", "json_schema": _label_schema(request.choices)}
        return body

    def _drops_constraint(self, failure: CallError, request: Request, used: Constraint) -> bool:
        """Whether the endpoint refuses constrained replies; then no later call asks for one, and parsers decide."""
        names = ("response_format", "structured_outputs", "json_schema", "guided")
        refused = failure.kind == "bad_request" and any(name in failure.message for name in names)
        if not (refused and request.choices and used != "none"):
            return False
        self.constraint = "none"
        logger.warning("%s does not take `%s`; from here on only the parser checks its labels.", self.model, used)
        return True

    def _read(self, content: bytes, key: str, latency_s: float) -> Completion:
        try:
            reply = orjson.loads(content)
            choice = reply["choices"][0]
            message = choice["message"]
            usage = reply.get("usage") or {}
            return Completion(
                call_key=key,
                model=self.model,
                text=_text(message.get("content")) or "",
                reasoning=_text(message.get("reasoning_content") or message.get("reasoning")),
                finish_reason=_text(choice.get("finish_reason")),
                prompt_tokens=_count(usage, "prompt_tokens"),
                completion_tokens=_count(usage, "completion_tokens"),
                latency_s=round(latency_s, 3),
                system_fingerprint=_text(reply.get("system_fingerprint")),
            )
        except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
            start = content[:120].decode("utf-8", "replace")
            raise CallError("garbage", self._redact(f"unreadable answer ({error!r}), it begins {start!r}")) from None

    def _redact(self, text: str) -> str:
        return text.replace(self._secret, "[key]") if self._secret else text


def _label_schema(choices: tuple[str, ...]) -> dict[str, Any]:
    label = {"type": "string", "enum": list(choices)}
    schema = {"type": "object", "properties": {"label": label}, "required": ["label"], "additionalProperties": False}
    return {"name": "label", "strict": True, "schema": schema}


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"text expected, got {type(value).__name__}")


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) else 0
