"""Doubles of the servers that docs/endpoints.md has recipes for: each differs from a plain one as its original does.

Bodies of errors are those that each project documents, or that its users have reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from aiohttp import web

from tests.support.chat_server import ChatServer, completion


def refusal(status: int, body: Mapping[str, Any]) -> web.Response:
    return web.json_response(body, status=status)


class Endpoint(ChatServer):
    """Checks the key, the model and the fields; then answers."""

    model = "a-model"
    key: str | None = None
    key_header = "Authorization"
    error_of_key: ClassVar[Mapping[str, Any]] = {}
    error_of_model: ClassVar[Mapping[str, Any]] = {}

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        sent = request.headers.get(self.key_header, "").removeprefix("Bearer ")
        if self.key and sent != self.key:
            return refusal(401, self.error_of_key)
        if body["model"] != self.model:
            return refusal(404, self.error_of_model)
        return self.complaint(request, body) or self.reply(body)

    def complaint(self, request: web.Request, body: dict[str, Any]) -> web.Response | None:
        """Refusal of what is asked; None where all is well."""
        return None

    def reply(self, body: dict[str, Any]) -> web.Response:
        return completion("yes")


class Ollama(Endpoint):
    """Needs no key, and passes over fields that it does not know."""

    model = "gemma3"
    error_of_model: ClassVar = {
        "error": {"message": 'model "x" not found, try pulling it first', "type": "api_error", "param": None}
    }


class LlamaCpp(Endpoint):
    """Loads its model while it refuses, and keeps reasoning apart."""

    key = "of-mine"
    error_of_key: ClassVar = {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}}

    def complaint(self, request: web.Request, body: dict[str, Any]) -> web.Response | None:
        if len(self.calls) > 1:
            return None
        return refusal(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})

    def reply(self, body: dict[str, Any]) -> web.Response:
        return completion("yes", reasoning_content="well")


class VLLM(Endpoint):
    """Names a field of its own where a prompt is too long."""

    key = "token-abc123"
    error_of_key: ClassVar = {"error": "Unauthorized"}

    def complaint(self, request: web.Request, body: dict[str, Any]) -> web.Response | None:
        if "long" not in str(body["messages"]):
            return None
        error = {"message": "This model's maximum context length is 1024 tokens.", "type": "BadRequestError"}
        return refusal(400, {"error": {**error, "param": "input_text", "code": 400}})


class OpenAI(Endpoint):
    """A reasoning model, which wants another limit and its own temperature, and names one field at a time."""

    key = "sk-mine"
    error_of_key: ClassVar = {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}

    def complaint(self, request: web.Request, body: dict[str, Any]) -> web.Response | None:
        codes = {"max_tokens": "unsupported_parameter", "temperature": "unsupported_value"}
        name = next((name for name in codes if name in body), None)
        if name is None:
            return None
        error = {"message": f"Unsupported: '{name}'", "type": "invalid_request_error", "param": name}
        return refusal(400, {"error": {**error, "code": codes[name]}})


class Azure(OpenAI):
    """One deployment of a resource: it has its own path, header of the key, and a version in the query."""

    path = "/openai/deployments/a-model/chat/completions"
    key_header = "api-key"

    @property
    def resource(self) -> str:
        return self.base_url.removesuffix("/v1")

    def complaint(self, request: web.Request, body: dict[str, Any]) -> web.Response | None:
        if request.query.get("api-version") != "2024-10-21":
            return refusal(404, {"error": {"code": "404", "message": "Resource not found"}})
        return super().complaint(request, body)


class OpenRouter(Endpoint):
    """Has errors whose code is their status."""

    key = "sk-or-mine"
    error_of_key: ClassVar = {"error": {"code": 401, "message": "No auth credentials found"}}
    credit = True

    def complaint(self, request: web.Request, body: dict[str, Any]) -> web.Response | None:
        return None if self.credit else refusal(402, {"error": {"code": 402, "message": "Insufficient credits"}})


class NVIDIA(Endpoint):
    """Refuses unknown fields in words alone, and too many requests without an error object."""

    key = "nvapi-mine"
    error_of_key: ClassVar = {"status": 401, "title": "Unauthorized"}

    def complaint(self, request: web.Request, body: dict[str, Any]) -> web.Response | None:
        if len(self.calls) == 1:
            return refusal(429, {"status": 429, "title": "Too Many Requests"})
        if "response_format" not in body:
            return None
        message = "Validation: Unsupported parameter(s): `response_format`"
        return refusal(400, {"message": message, "type": "Bad Request", "code": 400})
