"""The engine beside a bare aiohttp loop: how much of a server's rate it reaches, and the cost of a call by client.

    python -m benchmarks.client [--calls 100000] [--slots 512] [--mean-latency 1.0] [--repeat 1]

All make the same calls with as many in flight as the server has slots, each in a process of its own against a server
of its own, in turn. The bare loop throws replies away. The engine keys, journals, syncs, parses and writes a table of a
thousand calls a shard, through the fast client and, a tenth of the calls, through the `openai` package, which is for
hosted endpoints. The rate is all calls by the time from start to the last reply, tail included.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from statistics import median

from benchmarks.results import emit, figure, spread
from benchmarks.rivals import Load, run

LEAST_RATIO = 0.97
CONTENDERS = ("bare_aiohttp", "omr_kedro_engine", "omr_kedro_openai")
_FEWER = {"omr_kedro_openai": 10}
"""By how much the calls of a slow contender are divided."""


def measure(name: str, load: Load) -> dict[str, float]:
    """Run one contender and show its figures."""
    found = run(name, replace(load, calls=load.calls // _FEWER.get(name, 1)))
    print(f"  {name:<16} {found['rate']:8.1f} calls/s   {found['cpu_ms']:.3f} CPU-ms a call", flush=True)
    return found


def main() -> None:
    """Measure all in turn, print the ratio, and fail when it is too low."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--slots", type=int, default=512)
    parser.add_argument("--mean-latency", type=float, default=1.0)
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    load = Load(options.calls, options.slots, options.mean_latency, reply_chars=4000)
    print(f"{load.calls:,} calls in shards of 1,000, {load.slots} slots, mean latency {load.mean_latency_s:g} s")
    rounds = [{name: measure(name, load) for name in CONTENDERS} for _ in range(options.repeat)]
    bare, ours, package = ([each[name] for each in rounds] for name in CONTENDERS)
    ratios = [one["rate"] / other["rate"] for one, other in zip(ours, bare, strict=True)]
    costs = [one["cpu_ms"] / other["cpu_ms"] for one, other in zip(ours, bare, strict=True)]
    dearer = [one["cpu_ms"] / other["cpu_ms"] for one, other in zip(package, ours, strict=True)]
    met = median(ratios) >= LEAST_RATIO
    print(
        f"engine / bare loop: {median(ratios):.4f} of the rate (at least {LEAST_RATIO}), {median(costs):.2f} x the CPU"
    )
    print(f"openai package / fast client: {median(dearer):.2f} x the CPU")
    emit([
        figure(f"rate by that of a bare loop, {load.calls:,} calls", spread(ratios), "", f">= {LEAST_RATIO}", met=met),
        figure("CPU a call by that of a bare loop, which keeps nothing", spread(costs)),
        figure("rate", spread([each["rate"] for each in ours]), "calls/s"),
        figure("CPU a call", spread([each["cpu_ms"] for each in ours]), "ms"),
        figure("CPU a call through the openai package by that of the fast client", spread(dearer)),
    ])  # fmt: skip
    sys.exit(not met)


if __name__ == "__main__":
    main()
