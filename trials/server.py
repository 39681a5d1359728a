"""The provider of the trials: a fast chat server in a process of its own, that misbehaves, and that sends the bills.

    POST /<account>/<mix>/v1/chat/completions     GET /<account>/bill     DELETE /<account>

Each trial has an account. A call is paid when its whole reply was handed to the kernel, whoever still listened; what
was refused, cut or garbled is not paid. A bill waits until no call of the account is being worked on. What becomes of a
try follows from its account, its key and its number: the same call meets the same faults.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, ClassVar, NamedTuple

import orjson
from benchmarks.stage_server import Connection, Slots, completion, read_stages, reply
from benchmarks.stage_server import http as whole
from tests.support import faults
from tests.support.faults import FAULTS, KINDS, PAID
from tests.support.hostile_texts import reply_of

with contextlib.suppress(ImportError):
    import uvloop

ROOT = Path(__file__).resolve().parents[1]


def _spread(shares: dict[str, float]) -> dict[str, float]:
    """Shares of kinds of faults, dealt to their faults; the large ones are rarer."""
    weights = {fault: 0.1 if fault in faults.LARGE else 1.0 for fault in KINDS}
    sums = {kind: sum(map(weights.__getitem__, FAULTS[kind])) for kind in shares}
    return {fault: share * weights[fault] / sums[kind] for kind, share in shares.items() for fault in FAULTS[kind]}


MIXES: dict[str, dict[str, float]] = {
    "calm": {},
    "rough": {"429": 0.04, "429 by date": 0.02, "503": 0.02, "500": 0.03, "garbage": 0.03, "cut": 0.03, "closed": 0.03},
    "hanging": {"hang": 0.02, "500": 0.02, "cut": 0.02},
    "worn": {"429": 0.0003, "500": 0.006, "garbage": 0.001, "cut": 0.001, "closed": 0.001},
    # Whatever does not change what comes out in the end.
    "hostile": _spread({"same": 0.3, "passing": 0.12, "unreadable": 0.06, "silent": 0.005}),
    # Everything at once, and texts that are as bad.
    "foul": _spread(
        {
            "same": 0.15,
            "odd": 0.08,
            "cut short": 0.03,
            "passing": 0.03,
            "rejecting": 0.02,
            "unreadable": 0.03,
            "silent": 0.004,
            "stopping": 0.002,
        }
    ),
}
_FOUL = "foul"
_NO_FAULT = "none"
_MOST = {"silent": 3, "stopping": 4}
"""Faults of these kinds that an account meets: each takes a time limit, or another run."""
_STUBBORN = 0.5
"""Share of the calls of the foul mix, probes apart, that meet at every try what they met at the first."""
_PROBE = "probe"
"""Key of a call of one token that only looks whether the server answers: each run makes one."""
_LATENCY_S = 0.004


@dataclass
class Account:
    """What one trial has asked for."""

    name: str
    asked: int = 0
    in_flight: int = 0
    paid: Counter[str] = field(default_factory=Counter)
    """Whole replies by key."""
    tries: Counter[str] = field(default_factory=Counter)
    """Tries by what became of them."""
    tries_of: Counter[str] = field(default_factory=Counter)
    """Tries of each key."""
    waiting: list[Provider] = field(default_factory=list)
    """Who wants the bill."""


class Try(NamedTuple):
    """One try of one call."""

    mix: str
    key: str
    number: int
    """How often the call was tried before."""
    body: bytes
    authorization: str


class Provider(Connection):
    """One connection; the accounts are shared."""

    accounts: ClassVar[dict[str, Account]] = {}
    sending: ClassVar[set[asyncio.Future[None]]] = set()
    """Answers on their way: a loop holds its tasks by weak references only."""
    timed: ClassVar[bool] = False
    """Whether slots and latencies are a model server's, or each reply just takes up to 4 ms."""

    def handle(self, head: bytes, body: bytes) -> None:
        """Take one request."""
        method, path, _ = head.split(b"\r\n", 1)[0].split(b" ")
        name, *rest = path.decode().strip("/").split("/")
        account = self.accounts.get(name) or self.accounts.setdefault(name, Account(name))
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
            authorization = head.partition(b"authorization: ")[2].partition(b"\r\n")[0].decode().partition(" ")[2]
            self._begin(account, Try(rest[0], key, account.tries_of[key], body, authorization))

    def _begin(self, account: Account, tried: Try) -> None:
        account.tries_of[tried.key] += 1
        rng = random.Random(f"{account.name}/{tried.key}/{self._number(account, tried)}")
        outcome = self._draw(account, tried, rng.random())
        account.tries[outcome] += 1
        if self.timed and KINDS.get(outcome) != "silent":
            self.slots.submit(self, (account, tried, outcome))
        else:
            delay = rng.uniform(0, _LATENCY_S)
            asyncio.get_running_loop().call_later(delay, self.answer, (account, tried, outcome))

    def _number(self, account: Account, tried: Try) -> int:
        """The number of the try, or of the first for a stubborn call."""
        may_be = tried.mix == _FOUL and tried.key != _PROBE
        stubborn = may_be and random.Random(f"{account.name}/{tried.key}").random() < _STUBBORN
        return 0 if stubborn else tried.number

    def _draw(self, account: Account, tried: Try, draw: float) -> str:
        for outcome, share in MIXES[tried.mix].items():
            draw -= share
            if draw < 0:
                return outcome if self._may_be(account, tried, KINDS[outcome]) else _NO_FAULT
        return _NO_FAULT

    def _may_be(self, account: Account, tried: Try, kind: str) -> bool:
        if kind in _MOST:
            return sum(account.tries[fault] for fault in FAULTS[kind]) < _MOST[kind]
        # A call whose answers are unreadable again and again has failed: it is asked for twice at most.
        return kind != "unreadable" or not tried.number or tried.mix == _FOUL

    def answer(self, work: Any) -> None:
        """End one try."""
        account, tried, outcome = work
        paid = tried.key != _PROBE and (outcome == _NO_FAULT or outcome in PAID)
        account.paid.update([tried.key] if paid else [])
        account.in_flight -= 1
        if not self.transport.is_closing():  # else the caller was killed
            text = self._reply(tried)
            if outcome == _NO_FAULT and tried.mix != _FOUL:
                self.transport.write(whole(completion(text, model=faults.MODEL)))
            else:
                call = faults.Call.of(text, tried.body, tried.authorization, f"{account.name}/{tried.key}")
                sending = asyncio.ensure_future(faults.deliver(self.transport, faults.answer_to(outcome, call)))
                self.sending.add(sending)
                sending.add_done_callback(self.sending.discard)
        self._send_bills(account)

    def _reply(self, tried: Try) -> str:
        messages = orjson.loads(tried.body)["messages"]
        stage = self.stages.get(messages[0]["content"])
        text = messages[-1]["content"]
        rng = random.Random(text)
        if not stage:
            return f"re: {text[:200]} \u2264 {rng.getrandbits(256):x}"
        if tried.mix == _FOUL and rng.random() < 0.5:
            return reply_of(stage, rng)
        return reply(stage, text)

    def _send_bills(self, account: Account) -> None:
        while account.waiting and not account.in_flight:
            bill = {"asked": account.asked, "paid": account.paid, "tries": account.tries}
            account.waiting.pop().transport.write(whole(orjson.dumps(bill)))


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
