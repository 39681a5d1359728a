"""A chat server that answers every stage of problem generation at once, cheaply: the client is what is measured.

    python -m benchmarks.stage_server --prompts conf/base/prompts

It knows a stage by the prompt's system text, and draws its answer from a hash of the row's text, so that equal calls
get equal replies and the funnel looks like a real one. Prints `PORT <n>` when it listens;
GET /stats returns its counts (`Stats`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import random
import subprocess
import sys
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.request import urlopen

import orjson
import yaml

from benchmarks import ROOT

with contextlib.suppress(ImportError):
    import uvloop

LABELS = {"classify_proof": "proof", "classify_mcq": "mcq", "classify_binary": "binary", "classify_invalid": "invalid"}
_SALAD_CHARS = 1 << 24
SHARES = {"proof": 30, "mcq": 5, "binary": 5, "invalid": 10}


def reply(stage: str, text: str) -> str:
    """What the stage's model says about a row."""
    draw = zlib.crc32(text.encode()) % 100
    if stage == "extract_problems":
        return "No problems identified." if draw < 10 else f"Problem 1: Find the value of {draw} in: {text[-300:]}"
    if stage in LABELS:
        label = LABELS[stage]
        return label if draw < SHARES[label] else f"not {label}"
    if stage == "extract_answers":
        return "Answer not found." if draw < 30 else f"The second post gives it.\nAnswer: {draw}"
    if stage == "convert_proofs":
        return "Not convertible." if draw < 20 else f"Problem: Compute the constant of {text[-200:]}"
    if stage == "summarise_solution":
        return text[text.rfind("So it is") :].partition("</solution>")[0]
    return "False"


class Stats(NamedTuple):
    """State of a server at one moment."""

    answered: int
    """Calls that were answered since it began."""
    busy: int
    """Slots in which a call is served."""
    slot_s: float
    """Seconds in which slots served calls, of all slots together."""
    at: float
    """The moment (monotonic seconds of this machine)."""


class Slots:
    """Serves so many requests at a time, each for a lognormal while; the others wait their turn."""

    def __init__(self, count: int, mean_latency_s: float, spread: float = 0.5) -> None:
        self._count = self._free = count
        self._slot_s = 0.0
        self._changed_at = time.monotonic()
        self._waiting: deque[tuple[Connection, Any]] = deque()
        self._random = random.Random(11)
        # The mean of a lognormal is exp(mu + sigma^2 / 2).
        self._mu = math.log(mean_latency_s) - spread**2 / 2 if mean_latency_s else None
        self._spread = spread

    def submit(self, connection: Connection, body: Any) -> None:
        """Answer now, or later, or when a slot is free."""
        if self._mu is None:
            connection.answer(body)
        elif self._free:
            self._take(1)
            delay = self._random.lognormvariate(self._mu, self._spread)
            asyncio.get_running_loop().call_later(delay, self._finish, connection, body)
        else:
            self._waiting.append((connection, body))

    def _finish(self, connection: Connection, body: bytes) -> None:
        connection.answer(body)
        self._take(-1)
        if self._waiting:
            self.submit(*self._waiting.popleft())

    def _take(self, slots: int) -> None:
        now = time.monotonic()
        self._slot_s += (self._count - self._free) * (now - self._changed_at)
        self._free -= slots
        self._changed_at = now

    def stats(self, answered: int) -> Stats:
        """State of the server now."""
        self._take(0)
        return Stats(answered, self._count - self._free, self._slot_s, self._changed_at)


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection with keep-alive."""

    stages: dict[str, str]
    slots: Slots
    filler: Callable[[], str] | None = None
    """Gives the reply to a prompt that is no stage's, if that is to have a certain length."""
    answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods alone
        self.buffer = b""
        self.last = False

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
            self.last = b"connection: close" in head
            self.handle(head, body)

    def handle(self, head: bytes, body: bytes) -> None:
        """Take one request; `head` is in small letters."""
        if body:
            self.slots.submit(self, body)
        elif head.startswith(b"get ") and b"/models " in head:
            self.transport.write(http(orjson.dumps({"object": "list", "data": [{"id": "bench", "object": "model"}]})))
        else:
            self.transport.write(http(orjson.dumps(self.slots.stats(self.answered)._asdict())))

    def answer(self, body: Any) -> None:
        """Write the reply to one request; `body` is what was submitted to the slots."""
        Connection.answered += 1
        if self.filler and not self.stages:
            text = self.filler()
        else:
            messages = orjson.loads(body)["messages"]
            # Some libraries probe with no message at all.
            stage = self.stages.get(messages[0]["content"], "") if messages else ""
            text = self.filler() if self.filler and not stage else reply(stage, messages[-1]["content"])
        self.transport.write(http(completion(text, len(body) // 4)))
        if self.last:
            self.transport.close()


def same(chars: int) -> Callable[[], str]:
    """The same text each time."""
    text = ("We have $\\frac{a}{b} \u2264 \\sqrt{2}$.\n" * 200)[:chars]
    return lambda: text


def salad(chars: int) -> Callable[[], str]:
    """A piece of a long text of random words each time, since what is the same compresses to nothing."""
    rng = random.Random(5)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 11))) for _ in range(4_000)]
    text = " ".join(rng.choices(words, k=_SALAD_CHARS // 8))
    return lambda: text[(start := rng.randrange(len(text) - chars)) : start + chars]


def solution(chars: int) -> Callable[[], str]:
    """Such a piece as reasoning, and an answer behind it: three of five times the same, or one of some others."""
    rng, thoughts = random.Random(6), salad(chars)
    return lambda: f"<think>{thoughts()}</think>So it is $\\boxed{{{rng.choice([5, 5, 5, 7, rng.randrange(20)])}}}$."


def completion(text: str, prompt_tokens: int = 10, model: str = "bench") -> bytes:
    """A reply with every field that OpenAI's own client insists on."""
    tokens = len(text) // 4
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens, "total_tokens": prompt_tokens + tokens}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model}
    return orjson.dumps({**head, "choices": [choice], "usage": usage})


def http(body: bytes) -> bytes:
    """A whole answer around the body."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def read_stages(folder: Path) -> dict[str, str]:
    """Stage by the system text of its prompt; those whose prompt has none are not served."""
    prompts = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in folder.glob("*.yml")}
    return {content["system"].strip(): stem for stem, content in prompts.items() if "system" in content}


async def serve(host: str, port: int, connection: type[Connection] = Connection) -> None:
    """Listen until killed."""
    server = await asyncio.get_running_loop().create_server(connection, host, port, backlog=2048)
    print("PORT", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def stats(endpoint: str) -> Stats:
    """State of a server now."""
    with urlopen(f"{endpoint.removesuffix('/v1')}/stats") as response:
        return Stats(**orjson.loads(response.read()))


@contextmanager
def running(*words: str, host: str = "127.0.0.1", module: str = "benchmarks.stage_server") -> Iterator[str]:
    """The server in a process of its own; gives its endpoint. `module` may be another one that is started alike."""
    command = [sys.executable, "-m", module, "--host", host, *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        port = process.stdout.readline().split()[1] if process.stdout else ""
        yield f"http://{host}:{port}/v1"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=Path, default=Path("conf/base/prompts"))
    parser.add_argument("--no-stages", action="store_true", help="requests are not read; needs --reply-chars")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--slots", type=int, default=512)
    parser.add_argument("--mean-latency", type=float, default=0.0, help="seconds; 0 answers at once, in any number")
    parser.add_argument("--reply-chars", type=int, default=0, help="of replies to prompts that are no stage's")
    parser.add_argument("--salad", action="store_true", help="random words in these, another reply to each call")
    parser.add_argument("--solutions", action="store_true", help="the same as reasoning, and a boxed answer")
    options = parser.parse_args()
    if "uvloop" in sys.modules:
        uvloop.install()
    Connection.stages = {} if options.no_stages else read_stages(options.prompts)
    Connection.slots = Slots(options.slots, options.mean_latency)
    if options.reply_chars:
        filler = solution if options.solutions else salad if options.salad else same
        Connection.filler = staticmethod(filler(options.reply_chars))
    asyncio.run(serve(options.host, options.port))
