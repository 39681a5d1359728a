"""Model servers and the tasks that hold them, simulated; what is assumed is told in dispatch.py."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace

PROBLEMS_A_THREAD = ((0.25, 0), (0.88, 1), (0.96, 2), (0.99, 3), (1.0, 4))
"""Cumulated shares; 0.92 on average, 580/620 in the paper."""


BATCHED_TOKENS = 16384


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
    group: int = 0
    """Of stages that one server does."""


SPREAD = 0.6
"""Of the logarithm of tokens, read or written."""
STAGES = (
    Stage("extract_problems", (), 1.0, 500, 200, 8192),
    Stage("classify_proof", (0,), -1, 200, 5, 1024),
    Stage("classify_mcq", (1,), 0.543, 200, 5, 1024),
    Stage("classify_binary", (2,), 0.97, 200, 5, 1024),
    Stage("classify_invalid", (3,), 0.97, 200, 5, 1024),
    Stage("extract_answers", (4,), 0.96, 3000, 700, 4096),
    Stage("convert_proofs", (1,), 0.457, 200, 250, 4096),
    Stage("classify_converted_mcq", (6,), 1.0, 200, 5, 1024),
    Stage("classify_converted_binary", (7,), 0.97, 200, 5, 1024),
    Stage("classify_converted_invalid", (8,), 0.97, 200, 5, 1024),
    Stage("decontaminate", (5, 9), 1.0, 350, 3, 1024, calls=6, group=1),
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
        return sum(count * stage.calls for counts in self.rows for count, stage in zip(counts, STAGES, strict=True))

    def steps(self, shard: int, number: int, slots: int) -> list[float]:
        """How many steps each call takes of one shard in one stage, on a server with so many slots."""
        setting, stage = self._setting, STAGES[number]
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
        for stage in STAGES:
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
        self._parents = {stage: [one for one in STAGES[stage].after if one in stages] for stage in stages}
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
