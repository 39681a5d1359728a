"""The job arrays of a group: found again, submitted, waited for, submitted again when lost, reported."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import defaultdict
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

logger = logging.getLogger(__name__)

_TICK_S = 0.5
_LOG_EVERY_S = 30.0
_SETTLE_S = 1.0
"""A job may take this long to be in the queue after it was submitted."""
_SEEN_GONE = 2
"""Looks at the queue that must find a task gone: results may cross a network file system after the job's end."""
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
    """Tasks that Slurm holds, as the person knows by now."""


class JobArrays:
    """The job arrays of one group in one run: one to begin with, and one more for each time that tasks were lost."""

    def __init__(
        self, group: Group, resources: Resources, spec: dict[str, Any], root: Path, queue: Queue, max_retries: int
    ) -> None:
        """Describe them; nothing is submitted yet.

        Args:
            group: the nodes.
            resources: of each array task.
            spec: the fields of `JobSpec` that are the same for all jobs of the run.
            root: folder of submissions.
            queue: shared by all groups, so that Slurm is asked once for all.
            max_retries: how often shards of a lost task are submitted again.
        """
        self.group = group
        self.resources = resources
        self._spec = spec
        self._root = root
        self._queue = queue
        self._max_retries = max_retries
        self._waiting: list[Waiting] = []
        self._all: list[Submission] = []
        self._failures: list[str] = []
        self._spent: list[str] = []
        self._abandoned = threading.Event()
        self._began = time.monotonic()

    @property
    def taken(self) -> set[str]:
        """The shards that tasks are at work on."""
        return {shard for item in self._waiting for task in item.open for shard in item.submission.spec.shares[task]}

    def abandon(self) -> list[Submission]:
        """Stop waiting; returns the submissions that are still at work."""
        self._abandoned.set()
        return [waiting.submission for waiting in list(self._waiting)]

    def check_abandoned(self) -> None:
        """Raise when nobody waits any more.

        Raises:
            JobFailedError: see `abandon`.
        """
        if self._abandoned.is_set():
            raise JobFailedError(f"{self.group.name}: no longer waited for")

    def adopt(self, settings: dict[str, str]) -> None:
        """Take up the jobs that an earlier run of this command left at work.

        Args:
            settings: digests of code, prompts and parameters as they are now.

        Raises:
            JobFailedError: there are such jobs, with other settings.
        """
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
            if submission.spec.settings != settings or submission.spec.nodes != [n.name for n in self.group.nodes]:
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

    def create(self, shares: list[list[str]], settings: dict[str, str], attempt: int = 0) -> Submission:
        """Write spec and script of an array.

        Args:
            shares: the shards of each task.
            settings: digests of code, prompts and parameters; a job refuses to work with others.
            attempt: how often these shards were submitted before.
        """
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

    def submit(self, shares: list[list[str]], settings: dict[str, str], attempt: int = 0) -> None:
        """Submit an array; takes what `create` takes."""
        submission = self.create(shares, settings, attempt)
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

    def wait(self, settings: dict[str, str]) -> None:
        """Return when all tasks have done their work; submit the shards of lost ones again, with these settings.

        Raises:
            JobFailedError: with job, reason and logs of each task that was lost for good; after all others have ended.
            SpendingLimitError: the run may spend no more; after all tasks have ended.
        """
        logged_at = time.monotonic()
        while self._waiting:
            self._abandoned.wait(_TICK_S)
            self.check_abandoned()
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
                self.submit(shares, settings, attempt)
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
                    reason = f"failed: {result.error}"
                    again += self._lost(waiting.submission, task, reason, retry=result.retry)
            elif state := self._gone(waiting, task, snapshot):
                waiting.open.discard(task)
                why = f" ({state.reason})" if state.reason != "None" else ""
                reason = f"ended as {state.state}{why} on {state.node or 'no node'}"
                again += self._lost(waiting.submission, task, reason, retry=state.state != "CANCELLED")
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

    def _lost(self, submission: Submission, task: int, reason: str, *, retry: bool) -> list[list[str]]:
        tails = submission.tails(task)
        advice = _MORE_MEMORY.format(group=self.group.name) if _OUT_OF_MEMORY.search(f"{reason}\n{tails}") else ""
        report = f"{self.group.name}: job {submission.job_id}_{task} {reason}{advice}\n{tails}"
        if retry and submission.spec.attempt < self._max_retries:
            logger.warning("%s\nIts shards are submitted again.", report)
            return [submission.spec.shares[task]]
        logger.error("%s", report)
        self._failures.append(report)
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
            f"{f'code: {status.code_run}; ' if status.code_run.cells else ''}"
            f"Slurm job {', '.join(status.jobs)}, {time.monotonic() - self._began:.0f} s"
        )


def _unfinished(submission: Submission, task: int) -> bool:
    result = submission.result(task)
    return result is not None and result.state == "unfinished"
