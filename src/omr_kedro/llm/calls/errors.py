"""Errors of model calls: the meaning of a server's answer, and whether asking again can help.

A status and the codes of OpenAI's error object decide; words of a body never do: a server may echo a post in them.
The table of statuses was gathered from vLLM 0.33, OpenAI's and NVIDIA's hosted APIs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import orjson

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
    "no_money",
    "moved",
    "untrusted",
    "forbidden",
    "not_found",
    "gone",
    "unable",
]

STOPS: frozenset[Kind] = frozenset({"no_access", "no_money", "moved", "untrusted", "gone", "unable"})
"""Kinds that every other call would meet as well: they stop the run."""
REJECTIONS: frozenset[Kind] = frozenset({"forbidden", "not_found"})
"""Kinds that may mean one row (moderation, a firewall) or all of them (another model, another path): the row fails, and
the run stops when nothing else is answered."""
OUTAGES: frozenset[Kind] = frozenset({"overloaded", "server_error", "connection"})
"""Kinds that may mean one row or the whole endpoint: the row uses up a try where others are answered meanwhile;
otherwise all wait for the endpoint."""
PAID_TRIES: frozenset[Kind] = frozenset({"server_error", "timeout", "garbage"})
"""Kinds of tries that a provider may charge, though nothing came of them."""
_TERMINAL: frozenset[Kind] = frozenset({"bad_request", *REJECTIONS, *STOPS})

MESSAGE_CHARS = 500
_BODY_BYTES = 64 * 1024
"""Of an error's body that is looked at."""
_LONGEST_WAIT_S = 366 * 86400.0
_DEGRADED = re.compile(r"Function (?:id )?'[\w-]{1,64}'[\w :-]{0,40}DEGRADED function cannot be invoked\.?")
"""The whole `detail` of NVIDIA's answer 400 for a hosted function in trouble, which may pass."""


class CallError(Exception):
    """Failure of one try of one call."""

    def __init__(
        self,
        kind: Kind,
        message: str,
        retry_after_s: float | None = None,
        *,
        param: str | None = None,
        reply_bytes: int = 0,
    ) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.retry_after_s = retry_after_s
        self.param = param
        """Field of the request that the server complains of, by the `param` of OpenAI's error object: a hint."""
        self.reply_bytes = reply_bytes
        """Length of the answer, where one came that cannot be read."""

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


class LoopError(OmrError):
    """The loop that makes calls was ended by a fault; nothing that was finished is lost."""


class JournalError(OmrError):
    """The disk does not take what was paid for."""


class TooManyFailuresError(OmrError):
    """More calls failed than the run allows."""


class SpendingLimitError(OmrError):
    """The run has spent what it may; nothing is wrong, and all is kept."""


def error_of_status(status: int, body: bytes, headers: Mapping[str, str]) -> CallError:
    """The meaning of an answer other than 2xx; `body` must hold no secret."""
    text = body[: 4 * MESSAGE_CHARS].decode("utf-8", "replace").strip()
    message = f"HTTP {status}: {text[:MESSAGE_CHARS] or 'empty body'}"
    fields = _fields(body)
    return CallError(_kind(status, fields), message, _retry_after(headers), param=_param(fields))


def _fields(body: bytes) -> Mapping[str, Any]:
    """The fields of an error body; none where it is no JSON object."""
    try:
        fields = orjson.loads(body[:_BODY_BYTES])
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _kind(status: int, fields: Mapping[str, Any]) -> Kind:
    if status == 402 or (status == 429 and _says(fields, "insufficient_quota")):
        return "no_money"
    if status == 400 and _is_degraded(fields):
        return "server_error"
    if status in _STATUSES:
        return _STATUSES[status]
    if 300 <= status < 400:
        return "moved"
    if status >= 500:
        return "server_error"
    return "bad_request" if 400 <= status < 500 else "garbage"


_STATUSES: dict[int, Kind] = {
    401: "no_access",
    403: "forbidden",
    404: "not_found",
    405: "not_found",
    410: "gone",
    408: "server_error",
    409: "server_error",
    425: "server_error",
    429: "throttled",
    503: "overloaded",
}


def _says(fields: Mapping[str, Any], code: str) -> bool:
    error = fields.get("error")
    return isinstance(error, dict) and code in (error.get("code"), error.get("type"))


def _param(fields: Mapping[str, Any]) -> str | None:
    """The field `response_format` for a `param` of `response_format.json_schema`."""
    error = fields.get("error")
    param = error.get("param") if isinstance(error, dict) else None
    return re.split(r"[.\[]", param, maxsplit=1)[0] if isinstance(param, str) else None


def _is_degraded(fields: Mapping[str, Any]) -> bool:
    detail = fields.get("detail")
    return isinstance(detail, str) and bool(_DEGRADED.fullmatch(detail))


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
    return min(max(0.0, seconds), _LONGEST_WAIT_S) if math.isfinite(seconds) else None


def _moment(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
        # Dates of a year or a zone that none has fail here, and not where they are subtracted.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
