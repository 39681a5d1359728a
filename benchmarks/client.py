"""The engine beside a bare aiohttp loop: how much of a server's rate it reaches, and what a call costs.

    python benchmarks/client.py [--calls 20000] [--slots 512] [--mean-latency 1.0] [--repeat 1]

Both make the same calls with as many in flight as the server has slots, each in a process of its own against a server
of its own. The bare loop reads bodies and throws them away. The engine renders nothing either, but it keys, journals,
syncs, parses and writes twenty shards. The rate is all calls by the time from start to the last reply, tail included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import aiohttp
import orjson
from stage_server import running

from omr_kedro import tables
from omr_kedro.llm import Asking, ChatModel, Limits, Request, Sampling
from omr_kedro.shards import TableStore

SHARDS = 20
PROMPT_CHARS = 2000
LEAST_RATIO = 0.95
MOST_CPU_MS = 1.2


def messages(number: int) -> list[dict[str, str]]:
    """A prompt of ordinary length, another for each call."""
    text = f"Problem {number}. Let $x_1, x_2$ be the roots of $x^2 - {number}x + 1$. "
    return [{"role": "user", "content": (text * (PROMPT_CHARS // len(text) + 1))[:PROMPT_CHARS]}]


async def bare_loop(endpoint: str, calls: int, slots: int) -> None:
    """Send, read, forget."""
    numbers = iter(range(calls))

    async def worker(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            body = orjson.dumps({"model": "bench", "messages": messages(number), "temperature": 0.0})
            async with session.post(f"{endpoint}/chat/completions", data=body) as response:
                await response.read()

    connector = aiohttp.TCPConnector(limit=0)
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        await asyncio.gather(*(worker(session) for _ in range(slots)))


def run_bare_loop(endpoint: str, calls: int, slots: int) -> None:
    """The bare loop, to its end."""
    asyncio.run(bare_loop(endpoint, calls, slots))


def run_engine(endpoint: str, calls: int, slots: int) -> None:
    """The engine, from requests to a finished table."""
    per_shard = calls // SHARDS
    names = [f"shard-{number:05d}-of-{SHARDS:05d}" for number in range(SHARDS)]

    def requests(name: str) -> Iterator[Request]:
        first = names.index(name) * per_shard
        for number in range(first, first + per_shard):
            yield Request(str(number), messages(number), Sampling(), prompt_hash="bench")

    asking = Asking(
        name="bench",
        model=ChatModel("bench", base_url=endpoint, limits=Limits(max_in_flight=slots)),
        requests=requests,
        expected=dict.fromkeys(names, per_shard),
        fingerprints=dict.fromkeys(names, "1"),
    )
    with tempfile.TemporaryDirectory() as folder:
        TableStore(Path(folder), "jsonl", tables.COMPLETIONS).save(asking)


CONTENDERS: dict[str, Callable[[str, int, int], None]] = {"bare loop": run_bare_loop, "engine": run_engine}


def contend(name: str, endpoint: str, calls: int, slots: int) -> None:
    """Run one contender in this process and print its rate and its CPU time."""
    used, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    CONTENDERS[name](endpoint, calls, slots)
    seconds, now = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = now.ru_utime - used.ru_utime + now.ru_stime - used.ru_stime
    print(json.dumps({"rate": calls / seconds, "cpu_ms": 1000 * cpu / calls}))


def measure(name: str, options: argparse.Namespace) -> dict[str, float]:
    """Run one contender in a process of its own."""
    with running("--slots", str(options.slots), "--mean-latency", str(options.mean_latency)) as endpoint:
        words = [
            "--contender",
            name,
            "--endpoint",
            endpoint,
            "--calls",
            str(options.calls),
            "--slots",
            str(options.slots),
        ]
        done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"  {name:<10} {result['rate']:8.1f} calls/s   {result['cpu_ms']:.3f} CPU-ms a call", flush=True)
    return result


def main() -> None:
    """Measure both in turn, print the ratio, and fail when it is too low or a call costs too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--slots", type=int, default=512)
    parser.add_argument("--mean-latency", type=float, default=1.0)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--contender", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        contend(options.contender, options.endpoint, options.calls, options.slots)
        return
    print(f"{options.calls:,} calls, {options.slots} slots, mean latency {options.mean_latency:g} s")
    rounds = [{name: measure(name, options) for name in CONTENDERS} for _ in range(options.repeat)]
    ratio = median(each["engine"]["rate"] / each["bare loop"]["rate"] for each in rounds)
    cpu = median(each["engine"]["cpu_ms"] for each in rounds)
    print(
        f"engine / bare loop: {ratio:.3f} of the rate (at least {LEAST_RATIO}), "
        f"{cpu:.3f} CPU-ms a call (at most {MOST_CPU_MS})"
    )
    sys.exit(ratio < LEAST_RATIO or cpu > MOST_CPU_MS)


if __name__ == "__main__":
    main()
