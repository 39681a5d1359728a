"""The provider of the trials: a fast chat server in a process of its own, that misbehaves, and that sends the bills.

    POST /<account>/<mix>/v1/chat/completions     GET /<account>/bill     DELETE /<account>

Each trial has an account. A call is paid when its whole reply was handed to the kernel, whoever still listened; what
was refused, cut or garbled is not paid. A bill waits until no call of the account is being worked on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, ClassVar

import orjson
from benchmarks.stage_server import Connection, Slots, completion, read_stages, reply
from benchmarks.stage_server import http as whole

with contextlib.suppress(ImportError):
    import uvloop

ROOT = Path(__file__).resolve().parents[1]

MIXES: dict[str, dict[str, float]] = {
    "calm": {},
    "rough": {"429": 0.04, "429 date": 0.02, "503": 0.02, "500": 0.03, "garbage": 0.03, "cut": 0.03, "close": 0.03},
    "hanging": {"hang": 0.02, "500": 0.02, "cut": 0.02},
    "worn": {"429": 0.0003, "500": 0.006, "garbage": 0.001, "cut": 0.001, "close": 0.001},
}
_PAID = "none"
_MOST_HANGING = 3
_HANG_S = 20.0
_LATENCY_S = 0.004
_STATUS = {"429": b"429 Too Many Requests", "503": b"503 Service Unavailable", "500": b"500 Internal Server Error"}


@dataclass
class Account:
    """What one trial has asked for."""

    random: random.Random
    asked: int = 0
    in_flight: int = 0
    hanging: int = 0
    paid: Counter[str] = field(default_factory=Counter)
    """Whole replies by key."""
    tries: Counter[str] = field(default_factory=Counter)
    """Tries by what became of them."""
    waiting: list[Provider] = field(default_factory=list)
    """Who wants the bill."""


class Provider(Connection):
    """One connection; the accounts are shared."""

    accounts: ClassVar[dict[str, Account]] = {}
    timed: ClassVar[bool] = False
    """Whether slots and latencies are a model server's, or each reply just takes up to 4 ms."""

    def handle(self, head: bytes, body: bytes) -> None:
        """Take one request."""
        method, path, _ = head.split(b"\r\n", 1)[0].split(b" ")
        name, *rest = path.decode().strip("/").split("/")
        account = self.accounts.get(name) or self.accounts.setdefault(name, Account(random.Random(name)))
        if method == b"delete":
            del self.accounts[name]
            self.transport.write(whole(b"{}"))
        elif method == b"get":
            account.waiting.append(self)
            self._send_bills(account)
        else:
            account.asked += 1
            account.in_flight += 1
            key = head.partition(b"x-request-id: ")[2].partition(b"\r\n")[0].decode()
            self._begin(account, self._draw(account, MIXES[rest[0]]), key, body)

    def _begin(self, account: Account, outcome: str, key: str, body: bytes) -> None:
        account.tries[outcome] += 1
        if outcome == "hang":
            account.in_flight -= 1
            asyncio.get_running_loop().call_later(_HANG_S, self.transport.close)
        elif self.timed:
            self.slots.submit(self, (account, outcome, key, body))
        else:
            delay = account.random.uniform(0, _LATENCY_S)
            asyncio.get_running_loop().call_later(delay, self.answer, (account, outcome, key, body))

    def _draw(self, account: Account, mix: dict[str, float]) -> str:
        draw = account.random.random()
        for outcome, share in mix.items():
            draw -= share
            if draw < 0 and (outcome != "hang" or account.tries["hang"] < _MOST_HANGING):
                return outcome
        return _PAID

    def answer(self, work: Any) -> None:
        """End one try."""
        account, outcome, key, body = work
        account.paid.update([key] if outcome == _PAID else [])
        account.in_flight -= 1
        if not self.transport.is_closing():  # else the caller was killed
            self.transport.write(self._says(outcome, body))
            if outcome in ("cut", "close"):
                self.transport.close()
        self._send_bills(account)

    def _says(self, outcome: str, body: bytes) -> bytes:
        if outcome == _PAID:
            return whole(completion(self._reply(body)))
        if outcome in ("429 date", *_STATUS):
            return _refusal(outcome)
        unreadable = {"garbage": whole(b'{"choices": [{"mess'), "cut": whole(completion("x" * 500))[:300]}
        return unreadable.get(outcome, b"")

    def _reply(self, body: bytes) -> str:
        messages = orjson.loads(body)["messages"]
        stage = self.stages.get(messages[0]["content"])
        text = messages[-1]["content"]
        return reply(stage, text) if stage else f"re: {text[:60]} \u2264 {random.Random(text).getrandbits(256):x}"

    def _send_bills(self, account: Account) -> None:
        while account.waiting and not account.in_flight:
            bill = {"asked": account.asked, "paid": account.paid, "tries": account.tries}
            account.waiting.pop().transport.write(whole(orjson.dumps(bill)))


def _refusal(outcome: str) -> bytes:
    now = time.time()
    headers = b"Retry-After: 0.01" if outcome != "429 date" else b"Retry-After: " + _date(now + 1)
    status = _STATUS[outcome.split(maxsplit=1)[0]]
    return b"HTTP/1.1 %s\r\nDate: %s\r\n%s\r\nContent-Length: 2\r\n\r\n{}" % (status, _date(now), headers)


def _date(moment: float) -> bytes:
    return formatdate(moment, usegmt=True).encode()


class Bills:
    """The trials' side of the server."""

    def __init__(self, port: int) -> None:
        self._port = port

    def endpoint(self, account: str, mix: str) -> str:
        """Where a trial sends its calls."""
        return f"http://127.0.0.1:{self._port}/{account}/{mix}/v1"

    def paid(self, account: str) -> Counter[str]:
        """How many whole replies each key of the account got."""
        return Counter(self.bill(account)["paid"])

    def bill(self, account: str) -> dict[str, Any]:
        """All that is known of an account, once nothing is in flight."""
        found: dict[str, Any] = orjson.loads(self._ask("GET", f"/{account}/bill"))
        return found

    def forget(self, account: str) -> None:
        """Close the account."""
        self._ask("DELETE", f"/{account}")

    def _ask(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path)
            return connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def running(*words: str) -> Iterator[Bills]:
    """The server in a process of its own."""
    process = Popen([sys.executable, "-m", "trials.server", *words], stdout=PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout
        yield Bills(int(process.stdout.readline().split()[1]))
    finally:
        process.kill()
        process.wait()


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port, backlog=2048)
    print("PORT", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--slots", type=int, default=512)
    parser.add_argument("--mean-latency", type=float, default=0.0, help="seconds, lognormal; 0: up to 4 ms each")
    options = parser.parse_args()
    Provider.stages = read_stages(ROOT / "conf/base/prompts")
    Provider.slots, Provider.timed = Slots(options.slots, options.mean_latency), options.mean_latency > 0
    if "uvloop" in sys.modules:
        uvloop.install()
    asyncio.run(_serve(options.port))


if __name__ == "__main__":
    main()
