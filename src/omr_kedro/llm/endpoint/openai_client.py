"""The HTTP client on the official `openai` package, for hosted endpoints; slow to import, so it is imported late.

It brings what users of that package rely on: Azure's addresses, the headers of organisation and project
(`OPENAI_ORG_ID`, `OPENAI_PROJECT_ID`, `OPENAI_CUSTOM_HEADERS`), its identification of itself. Its retries are switched
off in favour of the engine's, and keys come from our credentials alone, so that none is sent to another host.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

import httpx2
import openai

from omr_kedro.llm.calls.errors import CallError, EndpointError
from omr_kedro.llm.calls.request import Way
from omr_kedro.llm.calls.token_ids import TokenIds
from omr_kedro.llm.endpoint.http import Address, Answer, bounded
from omr_kedro.llm.endpoint.network import proxy_of, trust_of

_NO_OTHER_KEY: dict[str, Any] = {"Authorization": openai.Omit(), "api-key": openai.Omit()}
"""The package adds nothing that says who asks, wherever it has it from; the header is the connection pool's."""


class OpenAIClient:
    """Asks one endpoint, or one resource of Azure, through the `openai` package (`http.HttpClient`)."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client: openai.AsyncOpenAI | None = None

    async def __aenter__(self) -> Self:
        """Open the pool of connections; see `HttpClient`."""
        try:
            self._client = self._opened(self._address.url)
        except httpx2.InvalidURL as error:
            raise EndpointError(f"{self._address.url} is no address: {error}") from None
        return self

    def _opened(self, url: str) -> openai.AsyncOpenAI:
        http_client = httpx2.AsyncClient(
            # As bytes, since keys may hold any character.
            headers={name.encode(): value.encode() for name, value in self._address.authorization.items()},
            follow_redirects=False,
            # The window bounds what is in flight.
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=4),
            verify=trust_of(url),
            proxy=proxy_of(url),
            trust_env=False,  # the environment was asked just now; what a `.netrc` holds is sent nowhere
            event_hooks={"response": [_raise_refusal]},
        )
        timeout = httpx2.Timeout(None, connect=self._address.connect_s)
        # Empty and not None: for None the package would take keys from the environment, whatever the host.
        common: dict[str, Any] = {"api_key": "", "admin_api_key": "", "max_retries": 0, "timeout": timeout}
        if self._address.api_version:
            return openai.AsyncAzureOpenAI(
                azure_endpoint=url, api_version=self._address.api_version, http_client=http_client, **common
            )
        return openai.AsyncOpenAI(base_url=url, http_client=http_client, **common)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client:
            await self._client.close()

    async def ask(self, way: Way, body: dict[str, Any], key: str) -> Answer:
        """Ask for a completion; see `HttpClient`. Hosted endpoints have no token ids for texts."""
        assert self._client is not None, "use the client as a context manager"  # noqa: S101
        if way == "tokenize":
            raise CallError("bad_request", "the openai package asks for no token ids: take `client: aiohttp`")
        part, text = (
            (self._client.chat.completions, "messages") if way == "chat" else (self._client.completions, "prompt")
        )
        rest = {name: value for name, value in body.items() if name not in ("model", text)}
        asked = body[text]
        create: Any = part.with_streaming_response.create
        return await _answer(
            create(
                model=body["model"],
                **{text: list(asked) if isinstance(asked, TokenIds) else asked},
                extra_body=rest,
                extra_headers={**_NO_OTHER_KEY, "X-Request-Id": key},
            )
        )

    async def models(self) -> Answer:
        """Ask for the list of models; see `HttpClient`."""
        assert self._client is not None, "use the client as a context manager"  # noqa: S101
        return await _answer(self._client.models.with_streaming_response.list(extra_headers=_NO_OTHER_KEY))


class _RefusalError(Exception):
    """An answer that is no success, its body read within bounds; the package itself would read it without any."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


async def _raise_refusal(response: httpx2.Response) -> None:
    if not response.is_success:
        raise _RefusalError(await _read(response.status_code, response.headers, response.aiter_bytes()))


async def _read(status: int, headers: httpx2.Headers, parts: AsyncIterator[bytes]) -> Answer:
    return Answer(status, headers, await bounded(parts))


async def _answer(asked: AbstractAsyncContextManager[Any]) -> Answer:
    try:
        async with asked as response:
            return await _read(response.status_code, response.headers, response.iter_bytes())
    except _RefusalError as refusal:
        return refusal.answer
    except (openai.APITimeoutError, httpx2.TimeoutException, TimeoutError):
        raise TimeoutError from None
    except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        raise _as_call_error(error) from None


def _as_call_error(error: Exception) -> CallError:
    causes = list(_causes(error))
    if untrusted := next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None):
        return CallError("untrusted", str(untrusted))
    # The package says "Connection error."; the cause is one below.
    cause = causes[1] if isinstance(error, openai.APIConnectionError) and len(causes) > 1 else error
    return CallError("connection", f"{type(cause).__name__}: {cause}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it, the last one first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
