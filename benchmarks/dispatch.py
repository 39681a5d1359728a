"""How many GPU-hours dispatch costs: groups of stages against one stage at a time, by simulation.

    python -m benchmarks.dispatch [--threads 550000] [--nodes 10] [--order breadth] [--compare]

Grouped, as the runner does it: an array task starts one server and takes its shards through all stages of its group; a
shard's next stage is open as soon as its former ones are done. There are two groups, since duplicates can only be
found among all problems: all stages before that, and the judge after it, whose array waits for the last task of the
first. One stage at a time: each stage is an array of its own, each task of it starts a server, and the next stage
waits for the last task. Nothing is served: calls only take their time.

A call takes steps of the server's engine: some for its prompt, one for each token it writes. All calls of a server
share its steps, and a step takes the longer the more calls are in it. What is known and what is assumed:

- Rows a stage: 620 K threads give 580 K problems, 265 K of them proofs; 30 K others are dropped as multiple choice,
  binary or invalid (table 1 of OpenMathReasoning's paper, arXiv 2504.16891). How problems spread over threads is
  assumed, so that the mean comes out, and that converted proofs are dropped as other problems are. A problem is judged
  against 3 others in both orders.
- Stages and what follows what: those of `omr_kedro.pipelines`.
- Tokens: assumed, such that all come to about 0.4 G written and, what prefix caching leaves, 2-3 G read; lognormal,
  written ones cut at `max_tokens` of conf/base/parameters.yml. One call in 500 never finds an end and writes
  `max_tokens`, as greedy decoding does now and then: such calls make the tails.
- Steps: 16384 tokens each (`max-num-batched-tokens` of conf/base/globals.yml), shared by the slots, so a prompt
  takes tokens / (16384 / slots) of them. 0.15 s with all slots in use, 0.02 s alone: assumed, such that a node of eight
  H100 reads and writes about 40 K tokens a second. Both times are options; equal, they leave occupancy out.
- Slots: the client's window (512), as long as the server runs as many sequences (vLLM: 1024 on large GPUs).
- A start takes 6 minutes, lognormal. Left out: waiting for an allocation, failures, retries, what the client costs,
  and the CPU nodes between two stages, above all retrieval before the judge.

Fixed shares: task k takes the shards k, k + tasks and so on, all open at once. Dynamic: a task takes another shard from
a common queue whenever no call of its own is left to start.

Idle is 1 - busy slot-seconds / (slots x time), the time from the server's first answer, or from the allocation, until
the task gives its node back. A task that is done early is therefore not idle: its node is free for others.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.results import emit, figure
from benchmarks.simulation import STAGES, Job, Setting, Work, run_array

MOST_IDLE = 0.03
FULL_SIZE = 550_000
"""Threads from which on the bar holds: a few thousand calls do not fill thousands of slots."""


def grouped(work: Work, setting: Setting) -> list[Job]:
    """One array for each group of stages."""
    groups: dict[int, list[int]] = {}
    for number, stage in enumerate(STAGES):
        groups.setdefault(stage.group, []).append(number)
    return _arrays(work, setting, list(groups.values()))


def one_at_a_time(work: Work, setting: Setting) -> list[Job]:
    """An array for each stage."""
    return _arrays(work, setting, [[number] for number in range(len(STAGES))])


def _arrays(work: Work, setting: Setting, arrays: Sequence[Sequence[int]]) -> list[Job]:
    """Each begins when the last task of the former has ended."""
    jobs: list[Job] = []
    for stages in arrays:
        start = max((job.released for job in jobs), default=0.0)
        jobs += run_array(work, setting, stages, start, first_number=len(jobs))
    return jobs


@dataclass(frozen=True)
class Bill:
    """What a way of dispatching costs."""

    servers: int
    gpu_hours: float
    wall_hours: float
    idle: float
    idle_with_start: float

    def __str__(self) -> str:
        return (
            f"{self.gpu_hours:9.1f} GPU-h  {self.wall_hours:6.2f} h  "
            f"idle {self.idle:6.2%}, with start-up {self.idle_with_start:6.2%}  {self.servers:4} servers"
        )


def bill(jobs: Sequence[Job], setting: Setting) -> Bill:
    """Sum the jobs up."""
    busy = sum(job.busy for job in jobs)
    held = sum(job.released - job.allocated for job in jobs)
    served = sum(job.released - job.ready for job in jobs)
    return Bill(
        servers=len(jobs),
        gpu_hours=held * setting.gpus / 3600,
        wall_hours=max(job.released for job in jobs) / 3600,
        idle=1 - busy / (setting.slots * served),
        idle_with_start=1 - busy / (setting.slots * held),
    )


def measure(name: str, dispatch: Callable[[Work, Setting], list[Job]], work: Work, setting: Setting) -> Bill:
    """Simulate one way, and print its bill."""
    started = time.monotonic()
    result = bill(dispatch(work, setting), setting)
    print(f"  {name:<44} {result}  ({time.monotonic() - started:.0f} s)", flush=True)
    return result


def alternatives(setting: Setting) -> dict[str, Setting]:
    """Other ways to dispatch groups, and a harder case: a call takes as long alone as among others.

    Slots may be compared for what they leave idle, not for their GPU-hours: a step takes the same whatever they are.
    """
    ways = {
        f"grouped, {order} first, {shares} shares": replace(setting, order=order, shares=shares)
        for order in ("breadth", "depth")
        for shares in ("fixed", "dynamic")
    }
    for times in (2, 4):
        tasks = times * setting.nodes
        ways[f"grouped, {setting.order} first, {times} tasks a node"] = replace(setting, shares="fixed", tasks=tasks)
    for slots in (256, 1024, 2048):
        ways[f"grouped, {setting.order} first, {slots} slots"] = replace(setting, slots=slots)
    ways["grouped, steps as long alone as in company"] = replace(setting, step_alone_s=setting.step_full_s)
    return ways


def main() -> None:
    """Bill both ways, and fail when groups leave too many slots idle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=FULL_SIZE)
    parser.add_argument("--shards", type=int, default=512)
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument("--tasks", type=int, help="of an array; default: one a node")
    parser.add_argument("--gpus", type=int, default=8, help="of a node")
    parser.add_argument("--slots", type=int, default=512)
    parser.add_argument("--startup-minutes", type=float, default=6.0)
    parser.add_argument("--step-full", type=float, default=0.15, help="seconds, with all slots in use")
    parser.add_argument("--step-alone", type=float, default=0.02, help="seconds, with one slot in use")
    parser.add_argument("--runaways", type=float, default=0.002, help="share of calls that write max_tokens")
    parser.add_argument("--order", choices=["breadth", "depth"], default="breadth")
    parser.add_argument("--shares", choices=["fixed", "dynamic"], default="fixed")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--compare", action="store_true", help="bill other orders, shares and numbers of slots as well")
    options = parser.parse_args()
    setting = Setting(
        nodes=options.nodes,
        tasks=options.tasks or options.nodes,
        slots=options.slots,
        gpus=options.gpus,
        startup_s=60 * options.startup_minutes,
        step_full_s=options.step_full,
        step_alone_s=options.step_alone,
        runaways=options.runaways,
        seed=options.seed,
        order=options.order,
        shares=options.shares,
    )
    work = Work(options.threads, options.shards, setting)
    print(
        f"{options.threads:,} threads, {work.calls:,} calls, {len(STAGES)} stages, {setting.tasks} tasks "
        f"on {setting.nodes} nodes of {setting.gpus} GPUs, {setting.slots} slots each"
    )
    way = f"grouped, {setting.order} first, {setting.shares} shares"
    groups = measure(way, grouped, work, setting)
    stages = measure("one stage at a time", one_at_a_time, work, setting)
    if options.compare:
        for name, other in alternatives(setting).items():
            if other != setting:
                measure(name, grouped, work, other)
    print(
        f"grouped / one stage at a time: {groups.gpu_hours / stages.gpu_hours:.3f} of the GPU-hours, "
        f"{groups.wall_hours / stages.wall_hours:.3f} of the hours; idle {groups.idle:.2%} (at most {MOST_IDLE:.0%}, "
        f"from {FULL_SIZE:,} threads on)"
    )
    failed = options.threads >= FULL_SIZE and groups.idle > MOST_IDLE
    emit([
        figure("GPU-hours of groups by one stage at a time (simulated)", groups.gpu_hours / stages.gpu_hours),
        figure("GPU time idle (simulated)", 100 * groups.idle, "%", f"<= {100 * MOST_IDLE:g}", met=not failed),
    ])  # fmt: skip
    sys.exit(failed)


if __name__ == "__main__":
    main()
