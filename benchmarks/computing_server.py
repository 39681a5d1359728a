"""A server whose model writes code in each of its replies, cheaply, with the token ids that vLLM gives.

    python -m benchmarks.computing_server --slots 512 --mean-latency 3 --reply-tokens 2000

It answers messages (`/v1/chat/completions`), prompts of token ids (`/v1/completions`), which it sends back with the
reply as vLLM does, and texts whose ids are asked for (`/tokenize`), which takes no slot. The ids say nothing. Prints
`PORT <n>` when it listens; GET /stats returns its counts (`stage_server.Stats`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
from collections.abc import Iterator
from itertools import cycle
from typing import Any, NamedTuple

import orjson

from benchmarks.stage_server import Connection, Slots, http, salad, serve

with contextlib.suppress(ImportError):
    import uvloop

_VOCABULARY = 151_000
_CHARS_A_TOKEN = 4
_PROMPT_TOKENS, _OUTPUT_TOKENS = 500, 60
_VARIANTS = 64
_CODE = "\n```python\nx = 1\nprint(x)\n```\n"
_PROMPT = b'"prompt":'


class Said(NamedTuple):
    """A reply, as the JSON of its fields."""

    text: bytes
    rest: bytes
    """Finish reason, stop reason and token ids, with no braces around them."""


class ComputingConnection(Connection):
    """A connection to such a model."""

    replies: Iterator[Said]
    tokens: int
    """Of a reply."""
    prompt: bytes
    """Ids of whatever messages."""
    output: bytes
    """Ids of whatever text."""

    def handle(self, head: bytes, body: bytes) -> None:
        """Take one request."""
        if head.startswith(b"post /tokenize"):
            self.transport.write(http(b'{"tokens":%b}' % self.output))
        else:
            super().handle(head, body)

    def answer(self, body: Any) -> None:
        """Write the reply to one request."""
        Connection.answered += 1
        said = next(self.replies)
        if (begin := body.find(_PROMPT)) < 0:
            prompt = self.prompt
            choice = b'{"message":{"role":"assistant","content":%b},%b}' % said
        else:
            begin += len(_PROMPT)
            prompt = body[begin : body.index(b"]", begin) + 1]
            choice = b'{"text":%b,%b,"prompt_token_ids":%b}' % (*said, prompt)
        usage = b'{"prompt_tokens":%d,"completion_tokens":%d}' % (prompt.count(b",") + 1, self.tokens)
        told = b'{"model":"bench","choices":[%b],"usage":%b' % (choice, usage)
        self.transport.write(http(told + (b',"prompt_token_ids":%b}' % prompt if begin < 0 else b"}")))
        if self.last:
            self.transport.close()


def replies(tokens: int) -> Iterator[Said]:
    """Some replies again and again: random words that end in code."""
    words, rng = salad(tokens * _CHARS_A_TOKEN), random.Random(7)
    told = [Said(orjson.dumps(words() + _CODE), _rest(ids(tokens, rng))) for _ in range(_VARIANTS)]
    return cycle(told)


def _rest(token_ids: bytes) -> bytes:
    return b'"finish_reason":"stop","stop_reason":"```\\n","token_ids":%b' % token_ids


def ids(count: int, rng: random.Random) -> bytes:
    """The JSON of so many random token ids."""
    return orjson.dumps([rng.randrange(_VOCABULARY) for _ in range(count)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--slots", type=int, default=512)
    parser.add_argument("--mean-latency", type=float, default=0.0, help="seconds; 0 answers at once, in any number")
    parser.add_argument("--reply-tokens", type=int, default=2000)
    options = parser.parse_args()
    if "uvloop" in sys.modules:
        uvloop.install()
    ComputingConnection.stages = {}
    ComputingConnection.slots = Slots(options.slots, options.mean_latency)
    ComputingConnection.replies = replies(options.reply_tokens)
    ComputingConnection.tokens = options.reply_tokens
    ComputingConnection.prompt = ids(_PROMPT_TOKENS, random.Random(8))
    ComputingConnection.output = ids(_OUTPUT_TOKENS, random.Random(9))
    asyncio.run(serve(options.host, options.port, ComputingConnection))
