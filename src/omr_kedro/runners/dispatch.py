"""A group on its way through Slurm: find what is missing, submit it, wait for it, try again, report."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omr_kedro.llm.calls import SpendingLimitError
from omr_kedro.llm.endpoint import GO_ON
from omr_kedro.runners import slurm
from omr_kedro.runners.errors import JobFailedError, SlurmError
from omr_kedro.runners.groups import Group
from omr_kedro.runners.resources import Resources
from omr_kedro.runners.slurm import Queue, Snapshot, TaskState
from omr_kedro.runners.status import duration, summarise
from omr_kedro.runners.submission import JobSpec, Submission, new_token
from omr_kedro.runners.work import GroupWork

logger = logging.getLogger(__name__)

_TICK_S = 0.5
_LOG_EVERY_S = 30.0
_SETTLE_S = 1.0
"""A job may take this long to be in the queue after it was submitted."""
_SEEN_GONE = 2
"""So many looks at the queue must find a task gone: results may cross a network file system after the job's end."""
_OUT_OF_MEMORY = re.compile(r"OUT_OF_MEMORY|exceeded memory limit|oom[-_]kill|OOM Killed", re.IGNORECASE)
"""How Slurm says it: as the state of a job where cgroups watch it, in the job's log alone elsewhere."""
_MORE_MEMORY = ": out of memory. Raise `mem` of {group} in runner.yml"
_RESUME = "What was finished is kept: the same command goes on from here."


@dataclass
class Waiting:
    """A submission that has open tasks."""

    submission: Submission
    open: set[int]
    since: float = field(default_factory=time.monotonic)
    seen_gone: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    held: set[int] = field(default_factory=set)
    """Tasks of which the person was told that Slurm holds them."""


@dataclass(frozen=True)
class Plan:
    """What a group would submit."""

    group: Group
    resources: Resources
    shards: int
    pending: Sequence[str] | None
    """None while its inputs are not there."""

    @property
    def shares(self) -> list[list[str]]:
        """The pending shards, dealt to the tasks of an array."""
        pending = self.pending or []
        width = min(self.resources.tasks, len(pending))
        return [list(pending[number::width]) for number in range(width)]


class GroupRun:
    """One group of one run."""

    def __init__(
        self,
        group: Group,
        resources: Resources,
        work: Callable[[], GroupWork],
        spec: dict[str, Any],
        root: Path,
        queue: Queue,
        max_retries: int,
    ) -> None:
        """Describe it; nothing happens before `make`.

        Args:
            group: the nodes.
            resources: of each array task.
            work: opens the nodes on the catalog, once their inputs are there.
            spec: the fields of `JobSpec` that are the same for all jobs of the run.
            root: folder of submissions.
            queue: shared by all groups, so that Slurm is asked once for all.
            max_retries: how often shards of a lost task are submitted again.
        """
        self.group = group
        self.resources = resources
        self._open_work = work
        self._spec = spec
        self._root = root
        self._queue = queue
        self._max_retries = max_retries
        self._lock = threading.Lock()
        self._made = False
        self._error: BaseException | None = None
        self._waiting: list[Waiting] = []
        self._all: list[Submission] = []
        self._failures: list[str] = []
        self._spent: list[str] = []
        self._abandoned = threading.Event()
        self._began = time.monotonic()

    def make(self) -> None:
        """Return when all shards of all tables of the group are there; the first caller does the work.

        Raises:
            JobFailedError: with job, reason and logs of each task that was lost for good; after all others have ended.
            SpendingLimitError: the run may spend no more; after all tasks have ended.
        """
        with self._lock:
            if self._error:
                raise self._error
            if not self._made:
                try:
                    self._make()
                except BaseException as error:
                    self._error = error
                    raise
                self._made = True

    def plan(self) -> Plan:
        """What there is to do."""
        try:
            work = self._open_work()
            ids = work.shard_ids()
        except Exception:  # whatever keeps an input from being read, it is not there yet
            return Plan(self.group, self.resources, 0, None)
        return Plan(self.group, self.resources, len(ids), work.pending(ids))

    def write(self, plan: Plan, settings: dict[str, str] | None = None, attempt: int = 0) -> Submission:
        """Write spec and script of a plan that has something to do."""
        settings = settings or self._open_work().settings
        return self._create(plan.shares, settings, attempt)

    def abandon(self) -> list[Submission]:
        """Stop waiting; returns the submissions that are still at work."""
        self._abandoned.set()
        return [waiting.submission for waiting in list(self._waiting)]

    def _make(self) -> None:
        work = self._open_work()
        ids = work.shard_ids()
        self._adopt(work)
        taken = {shard for item in self._waiting for task in item.open for shard in item.submission.spec.shares[task]}
        pending = [shard for shard in work.pending(ids) if shard not in taken]
        if pending:
            plan = Plan(self.group, self.resources, len(ids), pending)
            self._submit(plan.shares, work.settings, attempt=0)
        elif not taken:
            logger.info("%s: all %d shards are up to date; no job is needed", self.group.name, len(ids))
        self._wait(work.settings)

    def _adopt(self, work: GroupWork) -> None:
        """Take up the jobs that an earlier run of this command left at work."""
        nodes = {node.name for node in self.group.nodes}
        earlier = [item for item in Submission.unended(self._root) if nodes & set(item.spec.nodes)]
        if not earlier:
            return
        tasks = self._ask([item.spec.name for item in earlier])
        for submission in earlier:
            states = tasks.get(submission.spec.name, {})
            alive = {number for number, state in states.items() if not state.gone and not submission.result(number)}
            # A result that says "unfinished" stands there while the task is on its way back into the queue.
            alive |= {n for n, s in states.items() if not s.gone and _unfinished(submission, n)}
            if not alive:
                submission.ended()
                continue
            if submission.spec.settings != work.settings or submission.spec.nodes != [n.name for n in self.group.nodes]:
                raise JobFailedError(
                    f"{self.group.name}: jobs of an earlier run are still at work on these tables, with other settings "
                    f"or code: {', '.join(states[number].job_id for number in sorted(alive))}. Wait for them, or stop "
                    f"them (scancel --name={submission.spec.name}); then run the same command again."
                )
            submission.submitted(next(iter(states.values())).job_id.partition("_")[0])
            logger.info(
                "%s: found job %s of an earlier run, %d tasks still at work; waiting for them",
                self.group.name, submission.job_id, len(alive),
            )  # fmt: skip
            self._watch(submission, alive)

    def _ask(self, names: list[str]) -> dict[str, dict[int, TaskState]]:
        while True:
            try:
                return slurm.ask_queue(names)
            except SlurmError as error:
                logger.warning("Slurm does not answer; asking again. %s", error)
                if self._abandoned.wait(10):
                    raise

    def _create(self, shares: list[list[str]], settings: dict[str, str], attempt: int) -> Submission:
        spec = JobSpec(
            group=self.group.name,
            token=new_token(),
            attempt=attempt,
            nodes=[node.name for node in self.group.nodes],
            shares=shares,
            settings=settings,
            resources=self.resources,
            **self._spec,
        )
        folder = self._root / f"{spec.group}-{spec.token}"
        return Submission.create(self._root, spec, slurm.batch_script(spec, folder))

    def _submit(self, shares: list[list[str]], settings: dict[str, str], attempt: int) -> None:
        submission = self._create(shares, settings, attempt)
        submission.submitting()
        submission.submitted(slurm.submit(submission.script_path, submission.spec.name))
        logger.info(
            "%s: %d shards, array of %d, Slurm job %s; logs in %s",
            self.group.name, sum(map(len, shares)), len(shares), submission.job_id, submission.folder,
        )  # fmt: skip
        self._watch(submission, set(submission.tasks))

    def _watch(self, submission: Submission, tasks: set[int]) -> None:
        self._waiting.append(Waiting(submission, tasks))
        self._all.append(submission)
        self._queue.watch(submission.spec.name)

    def _wait(self, settings: dict[str, str]) -> None:
        logged_at = time.monotonic()
        while self._waiting:
            if self._abandoned.wait(_TICK_S):
                raise JobFailedError(f"{self.group.name}: no longer waited for")
            snapshot = self._queue.look()
            again: dict[int, list[list[str]]] = defaultdict(list)
            for waiting in self._waiting:
                for share in self._check(waiting, snapshot):
                    again[waiting.submission.spec.attempt + 1].append(share)
                self._tell_held(waiting, snapshot)
            for waiting in [waiting for waiting in self._waiting if not waiting.open]:
                waiting.submission.ended()
                self._queue.forget(waiting.submission.spec.name)
                self._waiting.remove(waiting)
            for attempt, shares in again.items():
                self._submit(shares, settings, attempt)
            if time.monotonic() - logged_at >= _LOG_EVERY_S:
                logged_at = time.monotonic()
                logger.info("%s", self._line(snapshot))
        if self._failures:
            raise JobFailedError("\n\n".join([*self._failures, *self._spent[-1:], _RESUME]))
        if self._spent:
            raise SpendingLimitError(f"{self._line(snapshot)}; stopped, since {self._spent[-1]}. {GO_ON}")
        if self._all:
            logger.info("%s", self._closing())

    def _check(self, waiting: Waiting, snapshot: Snapshot) -> list[list[str]]:
        """Close the tasks that ended; returns the shares to be submitted again."""
        again = []
        for task in sorted(waiting.open):
            result = waiting.submission.result(task)
            if result and result.state != "unfinished":
                waiting.open.discard(task)
                self._spent += [result.error] if result.state == "spent" else []
                if result.state == "failed":
                    told = f"failed: {result.error}"
                    again += self._lost(waiting.submission, task, told, retry=result.retry)
            elif state := self._gone(waiting, task, snapshot):
                waiting.open.discard(task)
                told = f"ended as {state.state}" + (f" ({state.reason})" if state.reason != "None" else "")
                again += self._lost(
                    waiting.submission, task, f"{told} on {state.node or 'no node'}", retry=state.state != "CANCELLED"
                )
        return again

    def _gone(self, waiting: Waiting, task: int, snapshot: Snapshot) -> TaskState | None:
        if snapshot.taken_at < waiting.since + _SETTLE_S:
            return None
        name = waiting.submission.spec.name
        unknown = TaskState(f"{waiting.submission.job_id}_{task}", "unknown to Slurm", "None", "")
        state = snapshot.tasks.get(name, {}).get(task, unknown)
        looks = waiting.seen_gone[task]
        if state is not unknown and not state.gone:
            looks.clear()
        elif snapshot.taken_at not in looks:
            looks.append(snapshot.taken_at)
        return state if len(looks) >= _SEEN_GONE else None

    def _tell_held(self, waiting: Waiting, snapshot: Snapshot) -> None:
        states = snapshot.tasks.get(waiting.submission.spec.name, {})
        held = {task for task, state in states.items() if state.held}
        for task in sorted(held - waiting.held):
            logger.warning(
                "%s: Slurm holds job %s (%s) until somebody runs: scontrol release %s",
                self.group.name, states[task].job_id, states[task].reason, states[task].job_id,
            )  # fmt: skip
        waiting.held = held

    def _lost(self, submission: Submission, task: int, told: str, *, retry: bool) -> list[list[str]]:
        tails = submission.tails(task)
        advice = _MORE_MEMORY.format(group=self.group.name) if _OUT_OF_MEMORY.search(f"{told}\n{tails}") else ""
        story = f"{self.group.name}: job {submission.job_id}_{task} {told}{advice}\n{tails}"
        if retry and submission.spec.attempt < self._max_retries:
            logger.warning("%s\nIts shards are submitted again.", story)
            return [submission.spec.shares[task]]
        logger.error("%s", story)
        self._failures.append(story)
        return []

    def _line(self, snapshot: Snapshot) -> str:
        (status,) = summarise(self._all, snapshot.tasks)
        tasks = ", ".join(f"{count} {state}" for state, count in sorted(status.states.items()))
        done = f"{status.total('shards_done')}/{status.shards} shards, {status.spent('paid'):,} calls"
        return f"{self.group.name}: {done}; tasks: {tasks}; about {duration(status.seconds_left)} left"

    def _closing(self) -> str:
        (status,) = summarise(self._all, {})
        names = ("paid", "prompt_tokens", "completion_tokens")
        paid, prompt, completion = (status.spent(name) for name in names)
        return (
            f"{self.group.name}: {paid:,} calls ({prompt:,} prompt + {completion:,} completion tokens), "
            f"{status.total('reused'):,} taken from earlier runs, {status.total('failed'):,} failed; "
            f"Slurm job {', '.join(status.jobs)}, {time.monotonic() - self._began:.0f} s"
        )


def _unfinished(submission: Submission, task: int) -> bool:
    result = submission.result(task)
    return result is not None and result.state == "unfinished"
