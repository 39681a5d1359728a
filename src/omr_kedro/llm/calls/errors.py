"""Errors of model calls: what a server's answer means, and whether asking again can help.

The table of statuses was gathered from vLLM 0.33 and NVIDIA's hosted API: 429 and 503 ask for patience, other 5xx and
broken connections may pass, 4xx will not, with one exception: a hosted function in trouble answers 400 and says
DEGRADED.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from omr_kedro.shards import OmrError

Kind = Literal[
    "throttled",
    "overloaded",
    "server_error",
    "timeout",
    "connection",
    "garbage",
    "bad_request",
    "no_access",
    "no_model",
]

THROTTLES: frozenset[Kind] = frozenset({"throttled", "overloaded"})
"""Kinds that say 'later', not 'no': they narrow the window and use up no try."""
STOPS: frozenset[Kind] = frozenset({"no_access", "no_model"})
"""Kinds that every other call would meet as well: they stop the run."""
_TERMINAL: frozenset[Kind] = frozenset({"bad_request", *STOPS})


class CallError(Exception):
    """Failure of one try of one call."""

    def __init__(self, kind: Kind, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.retry_after_s = retry_after_s

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return self.kind not in _TERMINAL


class EndpointError(OmrError):
    """The endpoint, the key or the model's name is wrong, or the endpoint refuses everything."""


class ContextError(OmrError):
    """A stage allows replies that its model has no room for."""


class StoppedError(OmrError):
    """Calls were stopped from outside, before a time limit for example; nothing is wrong, and all is kept."""


class ModelServerError(OmrError):
    """A local model server did not start, or died."""


class JournalError(OmrError):
    """The disk does not take what was paid for."""


class TooManyFailuresError(OmrError):
    """More calls failed than the run allows."""


class SpendingLimitError(OmrError):
    """The run has spent what it may; nothing is wrong, and all is kept."""


def error_of_status(status: int, body: bytes, headers: Mapping[str, str]) -> CallError:
    """Say what an answer other than 200 means."""
    text = body[:2000].decode("utf-8", "replace").strip()
    message = f"HTTP {status}: {text[:500] or 'empty body'}"
    return CallError(_kind(status, text), message, _retry_after(headers))


def _kind(status: int, text: str) -> Kind:
    if status == 429 or "ResourceExhausted" in text:
        return "throttled"
    if status == 503:
        return "overloaded"
    if status in (401, 403):
        return "no_access"
    if status in (404, 405, 410):
        return "no_model"
    if status in (408, 409, 425) or status >= 500 or "DEGRADED" in text:
        return "server_error"
    return "bad_request" if 400 <= status < 500 else "garbage"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After")
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until = _moment(value)
        # By the server's clock, if it tells: ours may be set at any time, and be wrong.
        now = _moment(headers.get("Date")) or datetime.now(UTC)
        seconds = (until - now).total_seconds() if until else math.nan
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _moment(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
