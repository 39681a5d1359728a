"""The models that an endpoint lists (`GET …/models`), as far as it does: many servers list none, and serve well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import orjson

_MOST_NAMES = 20_000
_NAME_CHARS = 200


@dataclass(frozen=True)
class Listing:
    """An answer to the question for models."""

    status: int | None
    """None: no answer came in time."""
    names: tuple[str, ...] = ()
    """Names of the models; none where the answer is no list of models."""

    @classmethod
    def of(cls, status: int, content: bytes) -> Self:
        """Read an answer; whatever is no list of OpenAI's form, or a bare one, lists nothing.

        Args:
            status: of the answer.
            content: the body, secrets taken out.
        """
        try:
            found: Any = orjson.loads(content)
        except orjson.JSONDecodeError:
            return cls(status)
        if isinstance(found, dict):
            found = found.get("data")
        if not isinstance(found, list):
            return cls(status)
        ids = (item.get("id") for item in found[:_MOST_NAMES] if isinstance(item, dict))
        return cls(status, tuple(name for name in ids if isinstance(name, str) and 0 < len(name) <= _NAME_CHARS))
