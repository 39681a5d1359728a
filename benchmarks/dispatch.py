"""How many GPU-hours dispatch costs: groups of stages against one stage at a time, by simulation.

    python benchmarks/dispatch.py [--threads 550000] [--nodes 10] [--order breadth] [--compare]

Grouped: an array task starts one server and takes its shards through all stages of problem generation; a shard's next
stage is open as soon as its former ones are done. One stage at a time: each stage is an array of its own, each task of
it starts a server, and the next stage waits for the last task. Nothing is served: calls only take their time.

A call takes steps of the server's engine: some for its prompt, one for each token it writes. All calls of a server
share its steps, and a step takes the longer the more calls are in it. What is known and what is assumed:

- Rows a stage: 620 K threads give 580 K problems, 265 K of them proofs; 30 K others are dropped as multiple choice,
  binary or invalid (facts/reference-behaviour.md §15: the sizes of OpenMathReasoning's tables). How problems spread
  over threads is assumed, so that the mean comes out. A problem is judged against 3 others in both orders.
- Stages and what follows what: those of `omr_kedro.pipelines`; `--classify together` asks all four labels at once.
- Tokens: assumed, such that all come to about 0.4 G written and, what prefix caching leaves, 2-3 G read (of 4-5 G:
  facts/peers.md §6); lognormal, written ones cut at `max_tokens` of conf/base/parameters.yml. One call in 500 never
  finds an end and writes `max_tokens`, as greedy decoding does now and then: such calls make the tails.
- Steps: 8192 tokens each (vLLM's default on an H100: facts/vllm-and-nim.md §3), shared by the slots, so a prompt takes
  tokens / (8192 / slots) of them. 0.15 s with all slots in use, that is about 50 K tokens a second, 0.02 s alone: the
  whole then takes the 30-45 node-hours of facts/peers.md §6. Both times are options; equal, they leave occupancy out.
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
import math
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush, heapreplace

from results import emit, figure

MOST_IDLE = 0.03
FULL_SIZE = 550_000
"""Threads from which on the bar holds: a few thousand calls do not fill thousands of slots."""
PROBLEMS_A_THREAD = ((0.25, 0), (0.88, 1), (0.96, 2), (0.99, 3), (1.0, 4))
"""Cumulated shares; 0.92 on average, 580/620 in the paper."""


BATCHED_TOKENS = 8192


@dataclass(frozen=True)
class Stage:
    """One `ask_` node."""

    name: str
    after: tuple[int, ...]
    """Whose rows it gets: numbers of stages; none for the threads."""
    share: float
    """Of those rows; for problems, -1 stands for the spread over threads."""
    prompt: float
    """Tokens that no other call has brought before, on average."""
    tokens: float
    """Written by a call, on average."""
    max_tokens: int
    calls: int = 1
    """For each row."""


SPREAD = 0.6
"""Of the logarithm of tokens, read or written."""
EXTRACT = Stage("extract_problems", (), 1.0, 500, 200, 8192)
CHAIN = (
    EXTRACT,
    Stage("classify_proof", (0,), -1, 200, 5, 1024),
    Stage("classify_mcq", (1,), 0.543, 200, 5, 1024),
    Stage("classify_binary", (2,), 0.97, 200, 5, 1024),
    Stage("classify_invalid", (3,), 0.97, 200, 5, 1024),
    Stage("extract_answers", (4,), 0.96, 3000, 700, 4096),
    Stage("convert_proofs", (1,), 0.457, 200, 250, 4096),
    Stage("judge_contamination", (5, 6), 1.0, 350, 3, 1024, calls=6),
)
TOGETHER = (
    EXTRACT,
    Stage("classify_problems", (0,), -1, 200, 5, 1024, calls=4),
    Stage("extract_answers", (1,), 0.49, 3000, 700, 4096),
    Stage("convert_proofs", (1,), 0.457, 200, 250, 4096),
    Stage("judge_contamination", (2, 3), 1.0, 350, 3, 1024, calls=6),
)


@dataclass(frozen=True)
class Setting:
    """What a simulation takes for granted."""

    nodes: int
    tasks: int
    slots: int
    gpus: int
    startup_s: float
    step_full_s: float
    step_alone_s: float
    runaways: float
    seed: int
    order: str
    shares: str
    stages: tuple[Stage, ...]


class Work:
    """The calls of each shard and stage, the same however they are dispatched."""

    def __init__(self, threads: int, shards: int, setting: Setting) -> None:
        self._setting = setting
        rng = random.Random(setting.seed)
        sizes = [0] * shards
        for _ in range(threads):
            sizes[rng.randrange(shards)] += 1
        self.rows = [self._funnel(size, rng) for size in sizes]
        """By shard, then by stage."""

    @property
    def calls(self) -> int:
        """All of them."""
        return sum(
            count * stage.calls
            for counts in self.rows
            for count, stage in zip(counts, self._setting.stages, strict=True)
        )

    def steps(self, shard: int, number: int, slots: int) -> list[float]:
        """How many steps each call takes of one shard in one stage, on a server with so many slots."""
        setting, stage = self._setting, self._setting.stages[number]
        rng = random.Random(f"{setting.seed} {shard} {number}")
        a_step = BATCHED_TOKENS / slots
        read, written = _log_mean(stage.prompt / a_step), _log_mean(stage.tokens)
        draw, most, runaways = rng.lognormvariate, stage.max_tokens, setting.runaways
        return [
            draw(read, SPREAD) + (most if rng.random() < runaways else min(most, draw(written, SPREAD)))
            for _ in range(self.rows[shard][number] * stage.calls)
        ]

    def _funnel(self, threads: int, rng: random.Random) -> list[int]:
        counts: list[int] = []
        for stage in self._setting.stages:
            rows = sum(counts[number] for number in stage.after) if stage.after else threads
            if stage.share < 0:
                counts.append(sum(_problems(rng.random()) for _ in range(rows)))
            else:
                counts.append(sum(rng.random() < stage.share for _ in range(rows)))
        return counts


def _log_mean(mean: float) -> float:
    """Of a lognormal with that mean: exp(mu + sigma^2 / 2)."""
    return math.log(mean) - SPREAD**2 / 2


def _problems(draw: float) -> int:
    return next(count for share, count in PROBLEMS_A_THREAD if draw < share)


@dataclass(frozen=True)
class Job:
    """One array task, from its allocation to its end, all in seconds."""

    allocated: float
    ready: float
    released: float
    busy: float
    """Slot-seconds with a call in them."""


Open = tuple[tuple[int, int], int, int, list[float]]
"""Rank, shard, stage, and the steps of its calls that have not started."""


class Ready:
    """The calls of one job that may start, lowest rank first."""

    def __init__(self, work: Work, setting: Setting, stages: Sequence[int]) -> None:
        self._work, self._slots, self._breadth = work, setting.slots, setting.order == "breadth"
        self._parents = {stage: [one for one in setting.stages[stage].after if one in stages] for stage in stages}
        self._open: list[Open] = []
        self._left: dict[tuple[int, int], int] = {}
        self._done: set[tuple[int, int]] = set()

    def __bool__(self) -> bool:
        return bool(self._open)

    def add(self, shard: int) -> None:
        """Open the stages that wait for none of this job's."""
        for stage, parents in self._parents.items():
            if not parents:
                self._enter(shard, stage)

    def take(self) -> tuple[float, int, int]:
        """Steps, shard and stage of the next call."""
        _, shard, stage, calls = self._open[0]
        steps = calls.pop()
        if not calls:
            heappop(self._open)
        return steps, shard, stage

    def ended(self, shard: int, stage: int) -> None:
        """A call has its answer; the last one of a shard's stage opens those that come after."""
        self._left[shard, stage] -= 1
        if not self._left[shard, stage]:
            self._finish(shard, stage)

    def _enter(self, shard: int, stage: int) -> None:
        if calls := self._work.steps(shard, stage, self._slots):
            self._left[shard, stage] = len(calls)
            heappush(self._open, ((stage, shard) if self._breadth else (shard, stage), shard, stage, calls))
        else:
            self._finish(shard, stage)

    def _finish(self, shard: int, stage: int) -> None:
        self._done.add((shard, stage))
        for then, parents in self._parents.items():
            if stage in parents and all((shard, parent) in self._done for parent in parents):
                self._enter(shard, then)


def run_job(
    work: Work, setting: Setting, number: int, stages: Sequence[int], shards: Callable[[], int | None], allocated: float
) -> Generator[float, None, Job]:
    """One server's life: yields the time of its next event before that comes, so that several servers can share shards.

    The clock inside counts steps, which all calls of the server share; a call that needs 200 of them ends 200 later.

    Args:
        work: what is to be done.
        setting: how.
        number: of the job; it draws the start-up time.
        stages: the numbers of those that it does, in the order of their calls.
        shards: gives the next shard, or None when there is none left (for this job).
        allocated: when it got its node, in seconds.
    """
    ready_at = allocated + random.Random(f"{setting.seed} start {number}").lognormvariate(
        math.log(setting.startup_s) - 0.25**2 / 2, 0.25
    )
    slots, alone = setting.slots, setting.step_alone_s
    slower = (setting.step_full_s - alone) / slots
    now, clock, busy = ready_at, 0.0, 0.0
    running: list[tuple[float, int, int]] = []
    ready = Ready(work, setting, stages)
    yield now
    while setting.shares == "fixed" and (shard := shards()) is not None:
        ready.add(shard)
    while True:
        while len(running) < slots:
            if ready:
                steps, shard, stage = ready.take()
                heappush(running, (clock + steps, shard, stage))
            elif (shard := shards()) is not None:
                ready.add(shard)
            else:
                break
        if not running:
            return Job(allocated, ready_at, now, busy)
        in_flight = len(running)
        ends, shard, stage = running[0]
        lasts = (ends - clock) * (alone + slower * in_flight)
        now += lasts
        busy += lasts * in_flight
        yield now
        heappop(running)
        clock = ends
        ready.ended(shard, stage)


def run_array(work: Work, setting: Setting, stages: Sequence[int], start: float, first_number: int = 0) -> list[Job]:
    """All tasks of one array, as many at a time as there are nodes."""
    every = range(len(work.rows))
    common = deque(every)
    # As a Slurm array is split: task k takes the shards k, k + tasks, k + 2 tasks and so on.
    queues = [common if setting.shares == "dynamic" else deque(every[k :: setting.tasks]) for k in range(setting.tasks)]
    waiting = deque(range(setting.tasks))
    done: list[Job] = []
    events: list[tuple[float, int, Generator[float, None, Job]]] = []

    def launch(at: float) -> None:
        task = waiting.popleft()
        queue = queues[task]
        job = run_job(
            work, setting, first_number + task, stages, lambda: queue.popleft() if queue else None, allocated=at
        )
        heappush(events, (next(job), task, job))

    while waiting and len(events) < setting.nodes:
        launch(start)
    while events:
        _, task, job = events[0]
        try:
            heapreplace(events, (next(job), task, job))
        except StopIteration as end:
            heappop(events)
            done.append(end.value)
            if waiting:
                launch(done[-1].released)
    return done


def grouped(work: Work, setting: Setting) -> list[Job]:
    """One array for all stages."""
    return run_array(work, setting, range(len(setting.stages)), start=0.0)


def one_at_a_time(work: Work, setting: Setting) -> list[Job]:
    """An array for each stage; the next begins when the last task of the former has ended."""
    jobs: list[Job] = []
    for stage in range(len(setting.stages)):
        start = max((job.released for job in jobs), default=0.0)
        jobs += run_array(work, setting, [stage], start, first_number=len(jobs))
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
    parser.add_argument("--classify", choices=["chain", "together"], default="chain")
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
        stages=CHAIN if options.classify == "chain" else TOGETHER,
    )
    work = Work(options.threads, options.shards, setting)
    print(
        f"{options.threads:,} threads, {work.calls:,} calls, {len(setting.stages)} stages, {setting.tasks} tasks "
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
