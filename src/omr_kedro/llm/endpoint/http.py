"""The shape of an HTTP client that chat endpoints are asked through, and what is common to all such clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self
from weakref import WeakKeyDictionary

from aiohttp import encode_basic_auth

from omr_kedro.llm.calls.errors import CallError
from omr_kedro.llm.calls.request import Way
from omr_kedro.llm.endpoint.redaction import user_of, without_user

ClientKind = Literal["aiohttp", "openai"]
"""The client that asks an endpoint: the fast one by hand on aiohttp, or the official `openai` package."""

MAX_REPLY_BYTES = 32 * 2**20
"""Longest body that is read, after decompression: a hundred times the longest reply of a context of 128,000 tokens."""
_USUAL_BYTES = 2**20
_MOST_LONG = 4
"""Bodies longer than usual that are read at once."""
CONNECT_S = 30.0


class Answer(NamedTuple):
    """An endpoint's answer, whatever its status; secrets may stand in it."""

    status: int
    headers: Mapping[str, str]
    """Names of any case are found."""
    content: bytes
    """The body, decompressed, at most `MAX_REPLY_BYTES` long."""


class HttpClient(Protocol):
    """Sends to one endpoint and gives its answers as they are; use as an async context manager.

    A client follows no redirect, tries nothing twice, and sends a key to its own address alone. One contract test
    (`tests/llm/endpoint/test_client.py`) runs for all clients.
    """

    async def __aenter__(self) -> Self:
        """Open the pool of connections.

        Raises:
            EndpointError: the environment names a proxy that cannot be used, or the address is none.
        """
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def ask(self, way: Way, body: dict[str, Any], key: str) -> Answer:
        """Ask for a chat completion, for the continuation of token ids, or for the token ids of a text.

        Args:
            way: which of them.
            body: fields of the request.
            key: of the call, sent as its id.

        Raises:
            CallError: `connection`, `untrusted`, or `garbage` for a body that is too long.
            TimeoutError: there was no connection in time.
        """
        ...

    async def models(self) -> Answer:
        """Ask for the endpoint's list of models, which costs nothing; raises as `ask` does."""
        ...


@dataclass(frozen=True)
class Address:
    """Where an endpoint is, and what it is reached with."""

    base_url: str = field(repr=False)
    """Up to and including `/v1`, or a resource of Azure; may hold user and password, which are sent where there is no
    key."""
    api_key: str | None = field(default=None, repr=False)
    """Sent to this address alone, and never shown."""
    connect_s: float = CONNECT_S
    """Limit of connecting, in seconds."""
    api_version: str | None = None
    """Version of Azure's API, by which the address is known to be Azure's; None elsewhere."""

    @property
    def url(self) -> str:
        """The address without user and password, and without a slash at its end."""
        return without_user(self.base_url).rstrip("/")

    @property
    def user(self) -> tuple[str, str] | None:
        """User and password, where there are any."""
        return user_of(self.base_url)

    @property
    def authorization(self) -> dict[str, str]:
        """The header that says who asks; none where there is neither a key nor a user."""
        if self.api_key:
            return {"api-key": self.api_key} if self.api_version else {"Authorization": f"Bearer {self.api_key}"}
        return {"Authorization": encode_basic_auth(*self.user)} if self.user else {}


async def bounded(parts: AsyncIterator[bytes], first: bytes = b"") -> bytes:
    """All of a body that comes in parts, the first of which may be there already.

    Few bodies that are longer than usual are read at once; the others wait in their sockets, or memory would grow with
    the window.

    Raises:
        CallError: it is longer than `MAX_REPLY_BYTES`.
    """
    read, size = [first], len(first)
    async with AsyncExitStack() as turn:
        usual = True
        async for part in parts:
            read.append(part)
            size += len(part)
            if size > MAX_REPLY_BYTES:
                message = f"the answer is longer than {MAX_REPLY_BYTES >> 20} MB and was not read to its end"
                raise CallError("garbage", message, reply_bytes=size)
            if usual and size > _USUAL_BYTES:
                usual = False
                await turn.enter_async_context(_long_bodies())
        return b"".join(read)


_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _long_bodies() -> asyncio.Semaphore:
    """The turns of long bodies, of all clients of a loop."""
    return _TURNS.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_MOST_LONG))
