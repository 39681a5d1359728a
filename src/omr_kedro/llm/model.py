"""Which model answers, where it is, and how hard it may be asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from omr_kedro.llm.client import ChatClient, Constraint
from omr_kedro.llm.endpoint import Endpoint, Limits
from omr_kedro.llm.process import ServerSpec


@dataclass(frozen=True)
class ChatModel:
    """A model behind an OpenAI-compatible endpoint: a remote one (`base_url`) or a local server that `serve` starts."""

    model: str
    base_url: str | None = None
    server: ServerSpec | None = None
    api_key: str | None = field(default=None, repr=False)
    constraint: Constraint = "response_format"
    limits: Limits = field(default_factory=Limits)
    setting: str = "the model's entry in the catalog"
    """Where a person changes endpoint and model; for error messages."""
    endpoint: Endpoint = field(init=False, repr=False, compare=False)
    """What all who use this object share."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "endpoint", Endpoint(self.limits))

    async def serve(self) -> str:
        """Base URL of an endpoint that answers; starts the local server unless it runs.

        Raises:
            ModelServerError: the server does not start.
        """
        if self.base_url:
            return self.base_url
        if self.server is None:
            raise ValueError(f"model '{self.model}' has neither a base_url nor a server")
        return await self.endpoint.serve(self.server, self.model)

    def client(self, base_url: str) -> ChatClient:
        """A client for the endpoint that `serve` named."""
        return ChatClient(base_url, self.model, self.api_key, self.constraint, self.limits.timeout_s)

    def stop(self) -> None:
        """Stop the local server, if one runs."""
        self.endpoint.stop_server()
