"""A model call and its outcome, as values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import orjson

from omr_kedro.llm.calls.prompt import Message
from omr_kedro.llm.calls.token_ids import are_token_ids, as_json
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

    def wire(self, sample_index: int, turn: int = 0) -> dict[str, Any]:
        """The fields of the request body."""
        body = {name: value for name, value in _fields_of(self).items() if value is not None}
        if self.seed is not None:
            body["seed"] = self.seed_of(sample_index, turn)
        return body

    def seed_of(self, sample_index: int, turn: int = 0) -> int | None:
        """The seed of one turn of one of several samples.

        Later turns have seeds of their own, made of the sample's: a turn with the sample's own seed would begin the
        same random stream again.
        """
        if self.seed is None:
            return None
        seed = self.seed + sample_index
        if not turn:
            return seed
        return int.from_bytes(hashlib.blake2b(b"%d:%d" % (seed, turn), digest_size=4).digest()) >> 1


Way = Literal["chat", "completions", "tokenize"]
"""Parts of an endpoint: replies to messages, continuations of token ids, and token ids of a text."""
StepKind = Literal["model", "code", "end"]
"""Kinds of rows in a completions table: a reply of the model, the output of code that was run, and the reason why what
was asked about a row came to an end before its time."""


class CallIdentity(NamedTuple):
    """Columns of a completions table that say whose call a row is."""

    row_id: str
    part: str
    sample_index: int
    seed: int | None
    prompt_hash: str
    turn: int = 0
    kind: StepKind = "model"

    @property
    def place(self) -> tuple[object, ...]:
        """Place among the rows about one row; no two have the same. An `end` comes last."""
        return self.kind == "end", self.part, self.sample_index, self.turn, self.kind


@dataclass(frozen=True)
class Request:
    """One call to be made for a row.

    `row_id`, `part`, `sample_index` and `turn` say whose reply it is; the rest says what is asked.
    """

    row_id: str
    messages: list[Message]
    sampling: Sampling
    prompt_hash: str
    choices: tuple[str, ...] = ()
    part: str = ""
    """Which of several calls of one row this is; empty where a row has one."""
    sample_index: int = 0
    turn: int = 0
    """Number of the call among those of one sample that follow from each other, from 0."""
    stop: tuple[str, ...] = ()
    """Texts that end the reply."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """More fields of this one request; they win over those of the model's entry."""
    tokenize: str | None = None
    """A text whose token ids are asked for, in place of a reply (vLLM's `/tokenize`)."""
    prompt_ids: Sequence[int] | None = None
    """Token ids of the prompt. When given, the model goes on from exactly these (`/v1/completions`), whatever a chat
    template would make of `messages`, which are not sent then: so a reply is continued, and a turn follows a turn."""

    def sample(self, index: int) -> Request:
        """The same request for another sample."""
        return replace(self, sample_index=index)

    def key(self, model: str) -> str:
        """32 hex digits of all that decides the reply. Equal keys of one shard are paid for once.

        Args:
            model: `Model.identity` of whoever is asked.
        """
        messages = self.messages if self.prompt_ids is None else []
        return _key(hashlib.sha256(orjson.dumps([model, messages, *self._asked()], default=as_json)))

    def _asked(self) -> list[Any]:
        """All that is asked beside the model and the messages."""
        asked = [self.sampling.wire(self.sample_index, self.turn), self.choices, self.sample_index]
        # What is not used says nothing, so that a call of before these fields is found by the key that it had.
        if later := {name: value for name in _LATER_FIELDS if (value := getattr(self, name))}:
            asked.append(later)
        return asked

    @property
    def way(self) -> Way:
        """The part of the endpoint that it is sent to."""
        if self.tokenize is not None:
            return "tokenize"
        return "chat" if self.prompt_ids is None else "completions"

    @property
    def asks_model(self) -> bool:
        """Whether it is counted as a call: token ids of a text cost nothing."""
        return self.tokenize is None

    def identity(self) -> CallIdentity:
        """The columns that say whose call this is; small, unlike the messages."""
        seed = self.sampling.seed_of(self.sample_index, self.turn)
        return CallIdentity(self.row_id, self.part, self.sample_index, seed, self.prompt_hash, self.turn)


_LATER_FIELDS = ("turn", "stop", "extra_body", "prompt_ids", "tokenize")


def _key(asked: hashlib._Hash) -> str:
    return asked.hexdigest()[:32]


class ConversationKeys:
    """Keys of requests that go on from each other: messages that they have in common are hashed once.

    They are the keys of `Request.key`, which hashes a conversation anew at each of its turns. Messages are compared
    with those of the last request, whose texts are held here.
    """

    def __init__(self, model: str) -> None:
        """Keys of requests to one model; see `Request.key`."""
        self._model = model
        self._begin = hashlib.sha256(b"[%s,[" % orjson.dumps(model))
        self._said: list[tuple[tuple[str, str], ...]] = []
        """Messages of the last request. The same texts are mostly the same objects, and so compared at once."""
        self._hashed = self._begin

    def key(self, request: Request) -> str:
        """The key of a request."""
        if request.prompt_ids is not None:
            return request.key(self._model)
        said = [tuple(message.items()) for message in request.messages]
        known = len(self._said)
        if said[:known] != self._said:
            known, self._hashed = 0, self._begin
        self._said, hashed = said, self._hashed.copy()
        for number in range(known, len(said)):
            hashed.update(b"," * bool(number) + orjson.dumps(request.messages[number]))
        self._hashed = hashed.copy()
        hashed.update(b"],%s" % orjson.dumps(request._asked())[1:])
        return _key(hashed)


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
    stop_reason: str | None = None
    """The text of `Request.stop` that ended the reply, as vLLM tells it (`repetition_detected` where it ended a loop);
    None when the model ended it itself."""
    token_ids: list[int] | None = None
    """Token ids of the reply, where the request asked for them (`return_token_ids`). vLLM gives those of the text that
    it stopped at, too, though `text` is without it: a prompt that goes on from them holds that text."""
    prompt_ids: list[int] | None = None
    """Token ids that the server made of the messages, where the request asked for them; not of a prompt of ids."""
    tool_calls: str | None = None
    """Calls of tools that the reply makes, as JSON: a list of `id`, `name` and `arguments`, which is text."""

    @property
    def asked(self) -> str:
        """The name that the model was asked by."""
        return self.asked_model or self.model

    @property
    def cut(self) -> bool:
        """Whether the reply is not known to be whole: the server says that it ended it for another reason."""
        return is_cut(self.finish_reason)

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
            if name in _IDS:
                values[name] = _ids(value)
            elif (kind := _KINDS[name]) is not str:
                values[name] = _in_range(value, kind)
            elif not isinstance(value, str) and not (value is None and name in _NULLABLE):
                raise TypeError(f"{name} cannot be {type(value).__name__}")
        return cls(**values)

    @cached_property
    def checksum(self) -> str:
        """16 hex digits by which a damaged row is told wherever it lies: 8 of its texts, 8 of its numbers."""
        later = (self.stop_reason, self.token_ids, self.prompt_ids, self.tool_calls)
        texts = (*_TEXTS(self), *later) if any(value is not None for value in later) else _TEXTS(self)
        return checksum(orjson.dumps(texts)) + checksum(orjson.dumps(_NUMBERS(self)))

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


def is_cut(finish_reason: str | None) -> bool:
    """Whether a server says by this reason that it ended a reply before its end; no reason says nothing."""
    return finish_reason is not None and finish_reason.lower() not in _WHOLE


_WHOLE = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence"})


"""Finish reasons of replies that the model itself has ended, as OpenAI-compatible servers spell them."""
_ABORTED = "abort"
"""Finish reason of a reply that the server gave up, as when it shuts down: asking again is likely to help."""
LARGEST_COUNT = 2**53 - 1
"""Largest number that every reader of JSON keeps exact."""
_KINDS: dict[str, type] = {
    "prompt_tokens": int, "completion_tokens": int, "tries": int, "latency_s": float,
    **dict.fromkeys(("call_key", "model", "text", "reasoning", "finish_reason", "system_fingerprint"), str),
    **dict.fromkeys(("asked_model", "error_kind", "error", "stop_reason", "tool_calls"), str),
}  # fmt: skip
_NUMBER_KINDS = {name: kind for name, kind in _KINDS.items() if kind is not str}
_NUMBERS = attrgetter(*_NUMBER_KINDS)
# These came later: rows of before have checksums without them, and must not look damaged.
_LATER = ("asked_model", "stop_reason", "tool_calls")
_IDS = ("token_ids", "prompt_ids")
_TEXTS = attrgetter(*(name for name, kind in _KINDS.items() if kind is str and name not in _LATER))
_NULLABLE = frozenset({"reasoning", "finish_reason", "system_fingerprint", "error_kind", "error", *_LATER})


def _in_range(value: Any, kind: type) -> Any:
    """The number, or 0 where it cannot be one of this column."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST_COUNT:
        return kind(0)
    return kind(value)


def _ids(value: Any) -> list[int] | None:
    """Token ids.

    Raises:
        TypeError: it is no list of such.
    """
    if value is None:
        return None
    if not are_token_ids(value, LARGEST_COUNT):
        raise TypeError("token ids must be a list of numbers")
    ids: list[int] = value
    return ids


_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in (Sampling, Completion)}


def _fields_of(value: Sampling | Completion) -> dict[str, Any]:
    # `asdict` copies deeply, which is a tenth of what a call costs; these values are flat and frozen.
    return {name: getattr(value, name) for name in _FIELDS[type(value)]}
