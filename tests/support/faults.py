"""Faults of an endpoint, by name: the bytes that it puts on the wire, in whatever way it fails its caller.

`FAULTS` groups them by the meaning that they have for a caller. Each makes an `Answer` to one call; `deliver` sends it
over any transport, so that a test's server and the provider of the trials share them. Everything random about an
answer comes from the call's own generator: the same call gets the same bytes.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from email.utils import formatdate
from itertools import chain, repeat
from typing import Any, Literal
from urllib.parse import quote

HANG_S = 20.0
_DRIP_S = 0.02
_MOST_UNSENT = 1 << 20
_STEERING_WORDS = (
    "ResourceExhausted DEGRADED guided json_schema response_format structured_outputs insufficient_quota "
    "model_not_found invalid_api_key \x1b]0;owned\x07\x1b[2J\u202e"
)


@dataclass(frozen=True)
class Call:
    """A call as far as faults depend on it."""

    text: str
    """The reply that it gets where all is well."""
    posted: bytes
    """Its own body, which servers echo."""
    key: str
    """Its secret, which servers echo too."""
    random: random.Random

    @classmethod
    def of(cls, text: str, posted: bytes, authorization: str | None, seed: str) -> Call:
        """The call with this seed."""
        return cls(text, posted, (authorization or "").removeprefix("Bearer "), random.Random(seed))


MODEL = "m"
"""The model that says to have answered."""


@dataclass(frozen=True)
class Answer:
    """Bytes on the wire, and the end of the connection after them."""

    pieces: Iterable[bytes]
    end: Literal["keep", "close", "reset"] = "keep"
    pause_s: float = 0.0
    """Before each piece but the first, and before the end."""


async def deliver(transport: asyncio.Transport, answer: Answer) -> None:
    """Send an answer as fast as its reader takes it; returns when it is sent or nobody reads any more."""
    for number, piece in enumerate(answer.pieces):
        if number and answer.pause_s:
            await asyncio.sleep(answer.pause_s)
        while transport.get_write_buffer_size() > _MOST_UNSENT and not transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        if transport.is_closing():
            return
        transport.write(piece)
    if answer.end != "keep":
        if answer.pause_s:
            await asyncio.sleep(answer.pause_s)
        if answer.end == "reset" and (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        transport.close()


def closing(answer: Answer) -> Answer:
    """The answer of a server that closes the connection after it, and says so where there is a head to say it in."""
    if answer.end != "keep":
        return answer
    said = (piece.replace(b"\r\nContent-", b"\r\nConnection: close\r\nContent-", 1) for piece in answer.pieces)
    return replace(answer, pieces=said, end="close")


def http(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *headers]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def whole(body: bytes, status: str = "200 OK", *headers: str) -> Answer:
    """An answer of one piece after which the connection stays."""
    return Answer([http(body, status, *headers)])


def completion(text: Any, finish_reason: Any = "stop", **fields: Any) -> dict[str, Any]:
    """The body of a reply; a token is four characters."""
    tokens = len(str(text)) // 4
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice],
        "usage": {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}, **fields,
    }  # fmt: skip


def _reply(call: Call, **fields: Any) -> bytes:
    return json.dumps(completion(call.text, **fields)).encode()


def _ended(finish_reason: Any) -> Callable[[Call], Answer]:
    return lambda call: whole(json.dumps(completion(call.text, finish_reason)).encode())


def _chosen(field: str, *values: Any) -> Callable[[Call], Answer]:
    """A reply one of whose unneeded fields holds one of some values, as Python writes them in JSON."""
    return lambda call: whole(_reply(call, **{field: call.random.choice(values)}))


def _status(status: str, *headers: str, body: bytes = b"{}") -> Callable[[Call], Answer]:
    return lambda _: whole(body, status, *headers)


def _echo(status: str) -> Callable[[Call], Answer]:
    """An error whose body repeats the post, the key and words that other errors have."""

    def answer(call: Call) -> Answer:
        said = f"{_STEERING_WORDS} {call.key} {call.posted[:4000].decode('utf-8', 'replace')}"
        kinds = ({"error": {"message": said, "code": said}}, {"detail": said}, {"message": said}, said)
        return whole(json.dumps(call.random.choice(kinds)).encode(), status)

    return answer


def _chunked(call: Call) -> Answer:
    body, size = _reply(call), call.random.randint(1, 40)
    chunks = (b"%x\r\n%s\r\n" % (len(part), part) for part in _cut_up(body, size))
    return Answer(chain([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], chunks, [b"0\r\n\r\n"]))


def _cut_up(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def _dripping(call: Call) -> Answer:
    body = http(_reply(call))
    return Answer(_cut_up(body, len(body) // 10 + 1), pause_s=_DRIP_S)


def _keyed(call: Call) -> Answer:
    """A reply that holds the key in every spelling, wherever there is room."""
    key = call.key or "no key was sent"
    spelt = " ".join((key, json.dumps(key)[1:-1], quote(key, safe=""), key.replace("/", "\\/")))
    odd = completion(f"{call.text}\n{spelt}", system_fingerprint=key)
    odd["choices"][0]["message"]["reasoning"] = spelt
    return whole(json.dumps(odd).encode())


def _date(seconds: float) -> str:
    return formatdate(time.time() + seconds, usegmt=True)


def _endless(head: bytes, piece: bytes, times: int | None = None) -> Callable[[Call], Answer]:
    return lambda _: Answer(chain([head], repeat(piece) if times is None else repeat(piece, times)), "close")


def _bomb(_: Call) -> Answer:
    """A few hundred kilobytes that become 200 MB."""
    body = gzip.compress(bytes(2**20), 9) * 200
    return Answer([http(body, "200 OK", "Content-Encoding: gzip")], "close")


_HEADER = b"X: " + b"y" * 8000 + b"\r\n"
_MEGABYTE = b"%x\r\n%s\r\n" % (2**20, b"x" * 2**20)
_OPEN = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_NESTED = b'{"choices": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"

FAULTS: dict[str, dict[str, Callable[[Call], Answer]]] = {
    # A reply that must be taken as it is, whatever stands around it.
    "same": {
        "byte order mark": lambda call: whole(b"\xef\xbb\xbf" + _reply(call)),
        "NaN": lambda call: whole(_reply(call)[:-1] + b', "a": NaN, "b": -Infinity, "c": 1e999}'),
        "many digits": lambda call: whole(_reply(call)[:-1] + b', "n": ' + b"9" * 6000 + b"}"),
        "half a surrogate": lambda call: whole(_reply(call)[:-1] + b', "name": "\\ud800 \\udc00"}'),
        "nested field": lambda call: whole(_reply(call)[:-1] + b', "x": ' + b"[" * 300 + b"]" * 300 + b"}"),
        "parts": lambda call: whole(_reply(call).replace(
            b'"content": ', b'"content": [{"type": "image"}, {"type": "text", "text": ', 1
        ).replace(b'}, "finish_reason"', b'}]}, "finish_reason"', 1)),
        "201": lambda call: whole(_reply(call), "201 Created"),
        "gzip": lambda call: whole(gzip.compress(_reply(call)), "200 OK", "Content-Encoding: gzip"),
        "chunked": _chunked,
        "HTTP/1.0": lambda call: Answer([b"HTTP/1.0 200 OK\r\n\r\n" + _reply(call)], "close"),
        "drip": _dripping,
        "100": lambda call: Answer([b"HTTP/1.1 100 Continue\r\n\r\n" + http(_reply(call))]),
        "close after it": lambda call: Answer([http(_reply(call), "200 OK", "Connection: close")], "close"),
    },
    # A reply whose text is whole and beside which a table's columns may be told odd things.
    "odd": {
        "odd usage": _chosen(
            "usage", None, "five", [5], 7, {}, {"prompt_tokens": 2**63}, {"prompt_tokens": True},
            {"prompt_tokens": -(10**9), "completion_tokens": -1}, {"completion_tokens": 1.5},
            {"prompt_tokens": "10", "completion_tokens": None}, {"prompt_tokens": 10**400},
        ),
        "odd fingerprint": _chosen("system_fingerprint", {"a": 1}, [], 5, "\x1b[2J" * 9, "f" * 100_000),
        "odd finish_reason": lambda call: _ended(call.random.choice([None, {"a": 1}, 7, ["stop"], "STOP"]))(call),
        "key in the reply": _keyed,
    },
    # A reply that is not whole: its row fails with that.
    "cut short": {
        **{reason: _ended(reason) for reason in ("length", "max_tokens", "content_filter", "abort", "repetition")},
        "unknown finish_reason": _ended("\x1b]0;owned\x07tired"),
        "empty": lambda _: whole(json.dumps(completion("")).encode()),
    },
    # It passes.
    "passing": {
        "429": _status("429 Too Many Requests"),
        "429 with Retry-After": _status("429 Too Many Requests", "Retry-After: 0.01"),
        "429 at once": _status("429 Too Many Requests", "Retry-After: 0"),
        "429 by date": lambda _: whole(b"{}", "429 Wait", f"Date: {_date(0)}", f"Retry-After: {_date(1)}"),
        "429 of no date": lambda call: whole(b"{}", "429 Wait", "Retry-After: " + call.random.choice([
            "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359", "-5", "nan", "inf", "\x7f", "1e999",
            "soon", "Wed, 99 Foo 99999 99:99:99 GMT",
        ])),
        "500": _status("500 Internal Server Error"),
        "502": _status("502 Bad Gateway", body=b"<html>\xff bad gateway"),
        "503": _status("503 Service Unavailable"),
        "408": _status("408 Request Timeout"),
        "cut": lambda call: Answer([http(_reply(call))[:-7]], "close"),
        "closed": lambda _: Answer([], "close"),
        "reset": lambda call: Answer([http(_reply(call))[:60]], "reset"),
        "too long a length": lambda call: Answer([http(_reply(call), length=10**9)], "close"),
        "a length of words": lambda call: Answer([b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"], "close"),
        "no HTTP": lambda _: Answer([b"\x00\x01\x02 hello\r\n\r\n"], "close"),
        "endless headers": lambda _: Answer([b"HTTP/1.1 200 OK\r\n", *repeat(_HEADER, 20)], "close"),
        "broken chunk": lambda _: Answer([_OPEN + b"zz\r\nnothing"], "close"),
    },
    # It takes a time limit to notice.
    "silent": {
        "hang": lambda _: Answer([], "close", HANG_S),
        "half a head": lambda _: Answer([b"HTTP/1.1 200 OK\r\nContent-"], "close", HANG_S),
        "half a body": lambda call: Answer([http(_reply(call))[:-7]], "close", HANG_S),
    },
    # The row fails, and no other.
    "rejecting": {
        "400": _echo("400 Bad Request"),
        "403": _echo("403 Forbidden"),
        "404": _echo("404 Not Found"),
        "413": _echo("413 Payload Too Large"),
        "422": _echo("422 Unprocessable Entity"),
        "451": _echo("451 Unavailable For Legal Reasons"),
    },
    # Every call would meet it: the run stops, and the same command goes on.
    "stopping": {
        "401": _echo("401 Unauthorized"),
        "402": _echo("402 Payment Required"),
        "410": _echo("410 Gone"),
        "307": _status("307 Temporary Redirect", "Location: http://127.0.0.1:9/v1/chat/completions"),
        "308": _status("308 Permanent Redirect", "Location: http://127.0.0.1:9/v1/chat/completions"),
        "429 without quota": _status("429 Quota", body=b'{"error": {"code": "insufficient_quota"}}'),
    },
    # No reply is in it: mostly it comes again, so it is asked for twice at most.
    "unreadable": {
        "garbage": lambda _: whole(b'{"choices": [{"mess'),
        "nothing": lambda _: whole(b""),
        "no choices": lambda _: whole(b'{"choices": []}'),
        "a number": lambda _: whole(json.dumps(completion(5)).encode()),
        "a list": lambda _: whole(b"[1]"),
        "bytes": lambda call: whole(call.random.randbytes(300)),
        "too short a length": lambda call: Answer([http(_reply(call), length=20)], "close"),
        "nested": lambda _: whole(_NESTED),
        "bomb": _bomb,
        "endless": _endless(_OPEN, _MEGABYTE),
        "200 MB": _endless(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 * 2**20), bytes(2**20), 200),
        "bad gzip": lambda _: whole(b"\x1f\x8b\x08" + bytes(40), "200 OK", "Content-Encoding: gzip"),
    },
}  # fmt: skip

PAID = frozenset(chain.from_iterable(FAULTS[kind] for kind in ("same", "odd", "cut short"))) - {"abort"}
"""Faults that give a whole reply, which a provider sends a bill for; what it gave up itself it does not charge."""
KINDS = {name: kind for kind, faults in FAULTS.items() for name in faults}
LARGE = ("bomb", "endless", "200 MB", "nested")
"""Those that a server has work with."""


def answer_to(fault: str, call: Call) -> Answer:
    """The answer that has this fault; a plain reply for no fault's name."""
    return FAULTS[KINDS[fault]][fault](call) if fault in KINDS else whole(_reply(call))
