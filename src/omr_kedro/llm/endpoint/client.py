"""One call to an OpenAI-compatible chat endpoint: from a request to a completion, through an HTTP client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

from omr_kedro.llm.calls.errors import MESSAGE_CHARS, CallError, error_of_status
from omr_kedro.llm.calls.request import Completion, Request, Sampling, Way
from omr_kedro.llm.endpoint.aiohttp_client import AiohttpClient
from omr_kedro.llm.endpoint.deadline import deadline
from omr_kedro.llm.endpoint.dialect import Dialect, Spare
from omr_kedro.llm.endpoint.http import CONNECT_S, Address, ClientKind, HttpClient
from omr_kedro.llm.endpoint.limits import Pacer
from omr_kedro.llm.endpoint.listing import Listing
from omr_kedro.llm.endpoint.redaction import Redactor
from omr_kedro.llm.endpoint.replies import read_reply, read_token_ids, without_echo

Constraint = Literal["response_format", "structured_outputs", "none"]
"""How a closed set of replies is asked for: OpenAI's field, vLLM's field, or by the prompt alone."""
_PROBE = Request("probe", [{"role": "user", "content": "1"}], Sampling(max_tokens=1), prompt_hash="")


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
        *,
        client: ClientKind = "aiohttp",
        api_version: str | None = None,
        dialect: Dialect | None = None,
        pacer: Pacer | None = None,
    ) -> None:
        """Describe the endpoint; nothing is sent.

        Args:
            base_url: up to and including `/v1`; may hold user and password, which are sent where there is no key.
            model: name that the endpoint knows the model by.
            api_key: sent to this address alone, and never shown; redirects are not followed.
            constraint: how a closed set of replies is asked for.
            timeout_s: seconds of one try, from sending to the last byte.
            extra_body: fields of every request beside those that a call decides.
            client: the HTTP client to ask through.
            api_version: of Azure's API, where the address is a resource of Azure; only with `client` "openai".
            dialect: what is known of the fields that the model takes; shared by the clients of a model.
            pacer: spaces the tries that find out about fields; whoever calls spaces the first ones.
        """
        self.model = model
        self._constraint: Constraint = constraint
        self._address = Address(base_url, api_key, min(CONNECT_S, timeout_s), api_version)
        self._kind: ClientKind = client
        self._dialect = dialect or Dialect(model)
        self._pacer = pacer or Pacer(None)
        self._learning = asyncio.Lock()
        user = self._address.user
        self._redactor = Redactor(api_key, user[1] if user else None)
        self._extra_body = dict(extra_body or {})
        self._timeout_s = timeout_s
        self._http: HttpClient | None = None

    async def __aenter__(self) -> Self:
        """Open the pool of connections.

        Raises:
            EndpointError: the environment names a proxy that cannot be used.
        """
        # In a thread, since what has to be imported may take a second while other calls are in flight.
        client = await asyncio.to_thread(_http_client, self._kind, self._address)
        self._http = await client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http:
            await self._http.__aexit__(kind, error, trace)

    async def complete(self, request: Request, key: str, spare: Spare = lambda _: None) -> Completion:
        """Make one try; where the endpoint refuses a field that it was never seen to take, find out which.

        Args:
            request: the call to make.
            key: of the call.
            spare: takes replies that were paid for to find that out, and are not the outcome.

        Raises:
            CallError: with the kind of what went wrong; the key never stands in its text.
        """
        body = self._body(request)
        while True:
            sent = self._dialect.spoken(body)
            try:
                completion = await self._try(sent, key, request.way)
            except CallError as refusal:
                if refusal.kind != "bad_request":
                    raise
                async with self._learning:
                    if self._dialect.spoken(body) == sent:
                        later = partial(self._later, key=key, way=request.way)
                        return await self._dialect.learn(sent, refusal, later, spare)
                # Another call has found something out meanwhile: ask again, as it is known now.
                await self._pacer.wait()
            else:
                self._dialect.took(sent)
                return completion

    async def listing(self, timeout_s: float) -> Listing:
        """The models that the endpoint lists, which costs nothing; no names where it lists none, or is not there."""
        assert self._http is not None, "use the client as a context manager"  # noqa: S101
        try:
            async with deadline(timeout_s):
                answer = await self._http.models()
        except (TimeoutError, CallError):
            return Listing(None)
        return Listing.of(answer.status, self._redactor.clean(answer.content))

    async def probe(self) -> Completion:
        """One call of one token; raises as `complete` does."""
        return await self.complete(_PROBE, _PROBE.row_id)

    async def answers(self) -> bool:
        """Whether the server behind the endpoint answers at all; asks for its list of models, which costs nothing."""
        status = (await self.listing(CONNECT_S)).status
        return status is not None and status < 500

    async def _later(self, body: dict[str, Any], key: str, way: Way) -> Completion:
        await self._pacer.wait()
        return await self._try(body, key, way)

    async def _try(self, body: dict[str, Any], key: str, way: Way) -> Completion:
        assert self._http is not None, "use the client as a context manager"  # noqa: S101
        started = time.monotonic()
        try:
            async with deadline(self._timeout_s):
                answer = await self._http.ask(way, body, key)
        except TimeoutError:
            raise CallError("timeout", f"no answer within {self._timeout_s:g} s") from None
        except CallError as error:
            message = self._redactor.clean_text(error.message)[:MESSAGE_CHARS]
            raise CallError(error.kind, message, reply_bytes=error.reply_bytes) from None
        content = self._redactor.clean(answer.content)
        if not 200 <= answer.status < 300:
            raise error_of_status(answer.status, content, answer.headers)
        if way == "completions":
            content = without_echo(content)
        read = read_token_ids if way == "tokenize" else read_reply
        return read(content, key, self.model, time.monotonic() - started)

    def _body(self, request: Request) -> dict[str, Any]:
        if request.tokenize is not None:
            return {"model": self.model, "prompt": request.tokenize, "add_special_tokens": False}
        body = {**self._extra_body, "model": self.model}
        if request.prompt_ids is None:
            body["messages"] = request.messages
        else:
            body["prompt"] = request.prompt_ids
        body |= request.sampling.wire(request.sample_index, request.turn)
        if request.stop:
            body["stop"] = request.stop
        body |= request.extra_body
        if not request.choices:
            return body
        if self._constraint == "structured_outputs":
            body["structured_outputs"] = {"choice": request.choices}
        elif self._constraint == "response_format":
            body["response_format"] = {"type": "json_schema", "json_schema": _label_schema(request.choices)}
        return body


def _http_client(kind: ClientKind, address: Address) -> HttpClient:
    if kind == "openai":
        from omr_kedro.llm.endpoint.openai_client import OpenAIClient  # noqa: PLC0415 (a second, and megabytes)

        return OpenAIClient(address)
    return AiohttpClient(address)


def _label_schema(choices: tuple[str, ...]) -> dict[str, Any]:
    label = {"type": "string", "enum": list(choices)}
    schema = {"type": "object", "properties": {"label": label}, "required": ["label"], "additionalProperties": False}
    return {"name": "label", "strict": True, "schema": schema}
