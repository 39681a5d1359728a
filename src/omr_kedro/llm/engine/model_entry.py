"""A model as the catalog describes it, and what its name tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from omr_kedro.llm.endpoint.client import Constraint
from omr_kedro.llm.endpoint.http import ClientKind
from omr_kedro.llm.endpoint.limits import Limits
from omr_kedro.llm.endpoint.redaction import without_user
from omr_kedro.llm.serving.process import ServerSpec


@dataclass(frozen=True)
class ModelEntry:
    """A model as the catalog describes it: a remote one (`base_url`), or one for which a local `server` is started."""

    name: str
    base_url: str | None = field(default=None, repr=False)
    server: ServerSpec | None = None
    api_key: str | None = field(default=None, repr=False)
    client: ClientKind = "aiohttp"
    """The HTTP client that the model is asked through."""
    api_version: str | None = None
    """Version of Azure's API, where `base_url` is a resource of Azure."""
    constraint: Constraint = "response_format"
    limits: Limits = field(default_factory=Limits)
    context_tokens: int | None = None
    """Longest call, prompt and reply together; None where it is not known."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Fields of every request beside those that a call decides, as JSON can hold them."""
    key_variable: str = ""
    """The environment variable that a key comes from; for error messages."""
    setting: str = "the model's entry in the catalog"
    """Where a person changes endpoint and model; for error messages."""

    @cached_property
    def identity(self) -> str:
        """All of the model that decides its replies, as `Request.key` takes it; the name where there is no more."""
        if not self.extra_body:
            return self.name
        return f"{self.name} {orjson.dumps(self.extra_body, option=orjson.OPT_SORT_KEYS).decode()}"

    @property
    def asked_as(self) -> tuple[object, ...]:
        """All of the model that decides whether a call is answered: of equal ones, one check is enough."""
        command = self.server.command if self.server else None
        return self.identity, self.base_url, self.api_key, self.client, self.api_version, command

    @property
    def place(self) -> str:
        """Model and address, for messages."""
        return f"{self.name} at {without_user(self.base_url) if self.base_url else 'the local server'}"


def names_clash(asked: str, served: str) -> bool:
    """Whether two names are of different models, as far as names tell.

    An owner, a folder, a date or a tag that one of them has and the other lacks is no clash: gpt-4o and
    gpt-4o-2024-08-06, llama3 and llama3:latest, Qwen/Qwen2.5-7B and /models/qwen2.5-7b.gguf.
    """
    short, long = sorted((bare_name(name) for name in (asked, served)), key=len)
    return not (long.startswith(short) and long[len(short) : len(short) + 1] in _AFTER_A_NAME)


_AFTER_A_NAME = ("", "-", ":", "@", "_")


def bare_name(name: str) -> str:
    """A model's name without owner, folder and suffix of a file, in small letters."""
    return name.lower().rstrip("/").rpartition("/")[2].removesuffix(".gguf")
