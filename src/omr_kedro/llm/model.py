"""Which model answers, where it is, and how hard it may be asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from omr_kedro.llm.client import ChatClient, Constraint
from omr_kedro.llm.server import LocalServer, ServerSpec


@dataclass(frozen=True)
class Limits:
    """What an endpoint may be asked for."""

    max_in_flight: int = 64
    requests_per_minute: float | None = None
    timeout_s: float = 600
    """One try, from sending to the last byte. Hosted queues answer after minutes, so a short limit pays twice."""
    max_tries: int = 6
    """For errors that may pass. Refusals (429, 503) use up none."""
    patience_s: float = 900
    """How long the endpoint may refuse every call before the run stops."""


class RunningServer:
    """The one server that all users of a model share; starts on first use, so that a run without calls starts none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: LocalServer | None = None

    async def ensure(self, spec: ServerSpec, model: str) -> str:
        """Base URL of the running server."""
        # Held across the start: a second node that needs the model waits for it instead of starting another.
        with self._lock:
            if self._server is None or not self._server.alive:
                self._server = LocalServer(spec, model)
                await self._server.start()
            return self._server.base_url

    def check(self) -> str | None:
        """The obituary of a server that died."""
        server = self._server
        return server.obituary() if server and not server.alive else None

    def stop(self) -> None:
        """Stop the server, if one runs."""
        with self._lock:
            if self._server:
                self._server.stop()
                self._server = None


@dataclass(frozen=True)
class ChatModel:
    """A model behind an OpenAI-compatible endpoint: a remote one (`base_url`) or a local server that `serve` starts."""

    model: str
    base_url: str | None = None
    server: ServerSpec | None = None
    api_key: str | None = field(default=None, repr=False)
    constraint: Constraint = "response_format"
    limits: Limits = Limits()
    setting: str = "the model's entry in the catalog"
    """Where a person changes endpoint and model; for error messages."""
    _running: RunningServer = field(default_factory=RunningServer, repr=False, compare=False)

    async def serve(self) -> str:
        """Base URL of an endpoint that answers; starts the local server unless it runs.

        Raises:
            ModelServerError: the server does not start.
        """
        if self.base_url:
            return self.base_url
        if self.server is None:
            raise ValueError(f"model '{self.model}' has neither a base_url nor a server")
        return await self._running.ensure(self.server, self.model)

    def client(self, base_url: str) -> ChatClient:
        """A client for the endpoint that `serve` named."""
        return ChatClient(base_url, self.model, self.api_key, self.constraint, self.limits.timeout_s)

    def check_server(self) -> str | None:
        """The obituary of a local server that died; None while all is well."""
        return self._running.check()

    def stop(self) -> None:
        """Stop the local server, if one runs."""
        self._running.stop()
