"""Long episodes: memory, the share of the server's time that is used, and the cost of a step.

    python -m benchmarks.episodes [--episodes 2000 10000] [--turns 8] [--reply-chars 20000] [--mean-latency 1.5]

An episode is a conversation: each turn sends all that went before, so that the last of eight turns sends 140 kB. The
replies are random words, and the table is Parquet, in shards of 250 episodes. Asking is a process of its own, against
the mock server in another, with as many calls in flight as the server has slots. The least load is played once more
with conversations that do not grow: the difference is the price of sending them.

Memory is the peak RSS of the asking process, and CPU its process time, both with the writing of the table. The time
used is the integral of the server's busy slots over that of all its slots, from the moment when it had got as many
calls as it has slots to the moment when the last episode was opened. It tells how soon the next turn comes, so it
depends on the latency, and on a machine whose cores are not taken.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.contenders.contract import cpu_s, question
from benchmarks.project import run_and_weigh
from benchmarks.results import emit, figure
from benchmarks.stage_server import Stats, running, stats
from omr_kedro.llm.calls import Ask, CallPlan, Episode, Request, Sampling, Steps
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.shards import TableStore, shard_names
from omr_kedro.tables import COMPLETIONS

MOST_MB, MOST_GROWTH, LEAST_USED, MOST_CPU_MS = 700, 1.10, 0.97, 1.0
SLOTS = 512
_A_SHARD = 250
_POLL_S = 0.1


class Found(NamedTuple):
    """Figures of one load."""

    peak_mb: float
    used: float
    """Share of the server's time between warm-up and tail."""
    cpu_ms: float
    """CPU time of the asking process by its steps."""


async def conversation(steps: Steps, row: str, number: int, turns: int, *, grows: bool) -> None:
    """Ask again and again, with all that was said before or without it."""
    asked = {"role": "user", "content": question(number)}
    messages = [asked]
    for turn in range(turns):
        reply = await steps.ask(Request(row, messages, Sampling(0.7, max_tokens=8192, seed=1), "bench", turn=turn))
        if grows:
            said = {"role": "assistant", "content": reply.text}
            messages = [*messages, said, {"role": "user", "content": f"Turn {turn} was not the last. Go on."}]


def ask(options: argparse.Namespace) -> None:
    """Make the table, in a process of its own, and write down what it took."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    episodes, opened_at = options.episodes[0], 0.0
    names = shard_names(-(-episodes // _A_SHARD))
    first = dict(zip(names, range(0, episodes, _A_SHARD), strict=True))
    rows = {name: range(first[name], min(first[name] + _A_SHARD, episodes)) for name in names}

    def asks(name: str) -> Iterator[Ask]:
        nonlocal opened_at
        for number in rows[name]:
            play = partial(conversation, row=str(number), number=number, turns=options.turns, grows=options.grows)
            yield Episode(str(number), play, "bench")
        opened_at = time.monotonic()

    cpu = cpu_s()
    plan = CallPlan(
        name="bench",
        model=ChatModel(ModelEntry("bench", options.endpoint, limits=Limits(max_in_flight=SLOTS))),
        asks=asks,
        expected={name: len(rows[name]) * options.turns for name in names},
        fingerprints=dict.fromkeys(names, "bench"),
    )
    TableStore(options.folder / "table", "parquet", COMPLETIONS).save(plan)
    found = {"cpu_s": cpu_s() - cpu, "opened_at": opened_at}
    (options.folder / "found.json").write_text(json.dumps(found), "utf-8")


def measure(options: argparse.Namespace, episodes: int, *, grows: bool = True) -> Found:
    """Have a load played, and print its figures."""
    server = ("--slots", SLOTS, "--mean-latency", options.mean_latency, "--reply-chars", options.reply_chars)
    with tempfile.TemporaryDirectory() as name, running(*map(str, server), "--salad", "--no-stages") as endpoint:
        folder = Path(name)
        words = ["--step", "--episodes", episodes, "--turns", options.turns, "--folder", folder, "--endpoint", endpoint]
        words += ["--grows"] if grows else []
        with watched(endpoint) as seen:
            peak_mb, seconds = run_and_weigh([sys.executable, "-m", "benchmarks.episodes", *map(str, words)], folder)
        told = json.loads((folder / "found.json").read_text("utf-8"))
        steps = TableStore(folder / "table", "parquet", COMPLETIONS).shards().count
    assert steps == episodes * options.turns, f"{steps} rows"
    found = Found(peak_mb, used(seen, told["opened_at"]), 1000 * told["cpu_s"] / steps)
    print(
        f"{episodes:>6,} episodes {'that grow' if grows else 'of one length':<13}: {found.peak_mb:5.0f} MB, "
        f"{found.used:.4f} of the server's time, {found.cpu_ms:.3f} CPU-ms a step; {seconds:.0f} s",
        flush=True,
    )
    return found


@contextmanager
def watched(endpoint: str) -> Iterator[list[Stats]]:
    """The states of a server, looked at again and again while this is open."""
    seen, done = [stats(endpoint)], threading.Event()

    def watch() -> None:
        while not done.wait(_POLL_S):
            seen.append(stats(endpoint))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def used(seen: list[Stats], opened_at: float) -> float:
    """Share of the server's time between warm-up and tail; 0 where the tail came before all slots were taken."""
    steady = [state for state in seen if state.at <= opened_at]
    full = next((number for number, state in enumerate(steady) if state.answered + state.busy >= SLOTS), len(steady))
    if len(steady) - full < 2:
        return 0.0
    begin, end = steady[full], steady[-1]
    return (end.slot_s - begin.slot_s) / (SLOTS * (end.at - begin.at))


def main() -> None:
    """Measure, print, and fail when a figure is not as promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, nargs="+", default=[2_000, 10_000])
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--reply-chars", type=int, default=20_000)
    parser.add_argument("--mean-latency", type=float, default=1.5)
    parser.add_argument("--step", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--grows", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        ask(options)
        return
    print(f"{options.turns} turns of {options.reply_chars:,} characters, mean latency {options.mean_latency:g} s")
    even = measure(options, options.episodes[0], grows=False)
    found = [measure(options, episodes) for episodes in options.episodes]
    few, many = found[0], found[-1]
    peak, growth = max(each.peak_mb for each in found), many.peak_mb / few.peak_mb
    share, cpu_ms = min(each.used for each in found), max(each.cpu_ms for each in found)
    load, by = f"{options.episodes[-1]:,} episodes", f"by that of {options.episodes[0]:,}"
    figures = [
        figure(f"peak memory of {load}", peak, "MB", f"< {MOST_MB}", met=peak < MOST_MB),
        figure(f"peak memory of {load} {by}", growth, "", f"<= {MOST_GROWTH:g}", met=growth <= MOST_GROWTH),
        figure("server's time that episodes use", share, "", f">= {LEAST_USED:g}", met=share >= LEAST_USED),
        figure("CPU a step of growing episodes", cpu_ms, "ms", f"< {MOST_CPU_MS:g}", met=cpu_ms < MOST_CPU_MS),
        figure("CPU a step of episodes that do not grow", even.cpu_ms, "ms"),
    ]
    emit(figures)
    sys.exit(any(each["met"] is False for each in figures))


if __name__ == "__main__":
    main()
