"""A model call and its outcome, as values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from operator import attrgetter
from typing import Any, NamedTuple

import orjson

from omr_kedro.llm.calls.prompt import Message
from omr_kedro.shards.integrity import checksum


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model is sampled. What is None is not sent: hosted models refuse parameters they do not know."""

    temperature: float = 0.0
    top_p: float | None = None
    max_tokens: int | None = None
    """Tokens of the reply at most, reasoning included."""
    seed: int | None = None
    """Sample *i* of a request is drawn with seed + i, as vLLM does for `n` samples."""

    def wire(self, sample_index: int) -> dict[str, Any]:
        """The fields of the request body."""
        body = {name: value for name, value in _fields_of(self).items() if value is not None}
        if self.seed is not None:
            body["seed"] = self.seed_of(sample_index)
        return body

    def seed_of(self, sample_index: int) -> int | None:
        """The seed of one of several samples."""
        return None if self.seed is None else self.seed + sample_index


class CallIdentity(NamedTuple):
    """Columns of a completions table that say whose call a row is."""

    row_id: str
    part: str
    sample_index: int
    seed: int | None
    prompt_hash: str


@dataclass(frozen=True)
class Request:
    """One call to be made for a row.

    `row_id`, `part` and `sample_index` say whose reply it is; the rest says what is asked.
    """

    row_id: str
    messages: list[Message]
    sampling: Sampling
    prompt_hash: str
    choices: tuple[str, ...] = ()
    part: str = ""
    """Which of several calls of one row this is; empty where a row has one."""
    sample_index: int = 0

    def key(self, model: str) -> str:
        """32 hex digits of all that decides the reply. Equal keys of one shard are paid for once.

        Args:
            model: `Model.identity` of whoever is asked.
        """
        asked = [model, self.messages, self.sampling.wire(self.sample_index), self.choices, self.sample_index]
        return hashlib.sha256(orjson.dumps(asked)).hexdigest()[:32]

    def identity(self) -> CallIdentity:
        """The columns that say whose call this is; small, unlike the messages."""
        seed = self.sampling.seed_of(self.sample_index)
        return CallIdentity(self.row_id, self.part, self.sample_index, seed, self.prompt_hash)


@dataclass(frozen=True)
class Completion:
    """The outcome of a call: a reply, or the error of its last try."""

    call_key: str
    model: str
    """The model that answered, as the endpoint names it; the one that was asked where it does not say."""
    text: str = ""
    reasoning: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_s: float = 0.0
    tries: int = 1
    system_fingerprint: str | None = None
    error_kind: str | None = None
    """Kind of the last `CallError`; None for a reply."""
    error: str | None = None
    asked_model: str | None = None
    """The name that the model was asked by; None in rows of versions that had no such column: then it is `model`."""

    @property
    def asked(self) -> str:
        """The name that the model was asked by."""
        return self.asked_model or self.model

    @property
    def cut(self) -> bool:
        """Whether the reply is not known to be whole: the server says that it ended it for another reason."""
        return self.finish_reason is not None and self.finish_reason.lower() not in _WHOLE

    @cached_property
    def settled(self) -> bool:
        """Whether asking again would be pointless or paid twice; False for failures that may pass."""
        return self.error_kind in (None, "bad_request") and self.finish_reason != _ABORTED

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Completion:
        """Read back a journal line or a table row; columns of the request are passed over.

        Raises:
            TypeError: a field holds no value that its column takes; numbers out of range are taken as unknown.
        """
        values = {name: row[name] for name in _FIELDS[cls] if name in row}
        for name, value in values.items():
            if (kind := _KINDS[name]) is not str:
                values[name] = _in_range(value, kind)
            elif not isinstance(value, str) and not (value is None and name in _NULLABLE):
                raise TypeError(f"{name} cannot be {type(value).__name__}")
        return cls(**values)

    @cached_property
    def checksum(self) -> str:
        """16 hex digits by which a damaged row is told wherever it lies: 8 of its texts, 8 of its numbers."""
        return checksum(orjson.dumps(_TEXTS(self))) + checksum(orjson.dumps(_NUMBERS(self)))

    def as_written(self, written: object) -> Completion:
        """This completion, read back from a row whose checksum was `written`; damaged numbers become unknown.

        Rows of earlier versions have no checksum and are taken as they are.

        Raises:
            TypeError: its texts are not those that were written.
        """
        if written is None or written == self.checksum:
            return self
        if not isinstance(written, str) or written[:8] != self.checksum[:8]:
            raise TypeError("the row was damaged")
        return replace(self, **{name: kind(0) for name, kind in _NUMBER_KINDS.items()})

    def row(self, identity: CallIdentity | None = None) -> dict[str, Any]:
        """The row of the completions table: whose call it was, if that is given, and what came of it."""
        return {**(identity._asdict() if identity else {}), **_fields_of(self), "checksum": self.checksum}


_WHOLE = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence"})
"""Finish reasons of replies that the model itself has ended, as OpenAI-compatible servers spell them."""
_ABORTED = "abort"
"""Finish reason of a reply that the server gave up, as when it shuts down: asking again is likely to help."""
LARGEST_COUNT = 2**53 - 1
"""Largest number that every reader of JSON keeps exact."""
_KINDS: dict[str, type] = {
    "prompt_tokens": int, "completion_tokens": int, "tries": int, "latency_s": float,
    **dict.fromkeys(("call_key", "model", "text", "reasoning", "finish_reason", "system_fingerprint"), str),
    **dict.fromkeys(("asked_model", "error_kind", "error"), str),
}  # fmt: skip
_NUMBER_KINDS = {name: kind for name, kind in _KINDS.items() if kind is not str}
_NUMBERS = attrgetter(*_NUMBER_KINDS)
# `asked_model` came later: rows of before have checksums without it, and must not look damaged.
_TEXTS = attrgetter(*(name for name, kind in _KINDS.items() if kind is str and name != "asked_model"))
_NULLABLE = frozenset({"reasoning", "finish_reason", "system_fingerprint", "error_kind", "error", "asked_model"})


def _in_range(value: Any, kind: type) -> Any:
    """The number, or 0 where it cannot be one of this column."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST_COUNT:
        return kind(0)
    return kind(value)


_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in (Sampling, Completion)}


def _fields_of(value: Sampling | Completion) -> dict[str, Any]:
    # `asdict` copies deeply, which is a tenth of what a call costs; these values are flat and frozen.
    return {name: getattr(value, name) for name in _FIELDS[type(value)]}
