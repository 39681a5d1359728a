"""A chat server that answers every stage of problem generation at once, cheaply: the client is what is measured.

    python benchmarks/stage_server.py --prompts conf/base/prompts

It knows a stage by the prompt's system text, and draws its answer from a hash of the row's text, so that equal calls
get equal replies and the funnel looks like a real one. Prints `PORT <n>` when it listens;
GET /stats returns its counts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import zlib
from pathlib import Path

import orjson
import yaml

with contextlib.suppress(ImportError):
    import uvloop

LABELS = {"classify_proof": "proof", "classify_mcq": "mcq", "classify_binary": "binary", "classify_invalid": "invalid"}
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
    return "False"


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection with keep-alive."""

    stages: dict[str, str]
    model = "bench"
    answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
            self.transport.write(_http(self._answer(body) if length else orjson.dumps({"answered": self.answered})))

    def _answer(self, body: bytes) -> bytes:
        Connection.answered += 1
        messages = orjson.loads(body)["messages"]
        text = reply(self.stages.get(messages[0]["content"], ""), messages[-1]["content"])
        return orjson.dumps(
            {
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": len(body) // 4, "completion_tokens": len(text) // 4},
                "model": self.model,
            }
        )


def _http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def read_stages(folder: Path) -> dict[str, str]:
    """Stage by the system text of its prompt."""
    prompts = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in folder.glob("*.yml")}
    return {content["system"].strip(): stem for stem, content in prompts.items()}


async def serve(port: int) -> None:
    """Listen until killed."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=2048)
    print("PORT", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=Path, default=Path("conf/base/prompts"))
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    if "uvloop" in sys.modules:
        uvloop.install()
    Connection.stages = read_stages(options.prompts)
    asyncio.run(serve(options.port))
