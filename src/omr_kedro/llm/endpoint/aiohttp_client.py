"""The fast HTTP client: aiohttp and orjson by hand.

Measured beside each other at 512 calls in flight, the openai package costs several times the CPU for each call and
cannot keep the window full (benchmarks/client.py).
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from omr_kedro.llm.calls.errors import CallError
from omr_kedro.llm.calls.request import Way
from omr_kedro.llm.calls.token_ids import as_json
from omr_kedro.llm.endpoint.http import Address, Answer, bounded
from omr_kedro.llm.endpoint.network import proxy_of, trust_of


class AiohttpClient:
    """Asks one endpoint through a pool of connections of its own (`http.HttpClient`)."""

    def __init__(self, address: Address) -> None:
        self._base_url = address.url
        self._urls: dict[Way, str] = {
            "chat": f"{address.url}/chat/completions",
            "completions": f"{address.url}/completions",
            # vLLM has it beside /v1.
            "tokenize": f"{address.url.removesuffix('/v1')}/tokenize",
        }
        self._connect_s = address.connect_s
        self._headers = {"Content-Type": "application/json", **address.authorization}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the pool of connections; see `HttpClient`."""
        # The window bounds what is in flight; a second bound in the connection pool would only hide calls from it.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4, ssl=trust_of(self._base_url))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s)
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

    async def ask(self, way: Way, body: dict[str, Any], key: str) -> Answer:
        """Ask for a completion or for token ids; see `HttpClient`."""
        data = orjson.dumps(body, default=as_json)
        return await self._answer("POST", self._urls[way], data, {"X-Request-Id": key})

    async def models(self) -> Answer:
        """Ask for the list of models; see `HttpClient`."""
        return await self._answer("GET", f"{self._base_url}/models", None, None)

    async def _answer(self, method: str, url: str, data: bytes | None, headers: dict[str, str] | None) -> Answer:
        assert self._session is not None, "use the client as a context manager"  # noqa: S101
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, allow_redirects=False
            ) as response:
                content = await response.content.readany()
                if not response.content.at_eof():
                    content = await bounded(response.content.iter_any(), content)
                return Answer(response.status, response.headers, content)
        except TimeoutError:
            raise
        except aiohttp.ClientConnectorCertificateError as error:
            raise CallError("untrusted", str(error.certificate_error)) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CallError("connection", f"{type(error).__name__}: {error}") from None
