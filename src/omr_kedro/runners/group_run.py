"""A group in one run: find what is missing, make what is paid for, let jobs make the rest."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omr_kedro.runners.groups import Group
from omr_kedro.runners.job_arrays import JobArrays
from omr_kedro.runners.resources import Resources
from omr_kedro.runners.submission import Submission
from omr_kedro.runners.work import GroupWork

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workload:
    """The work of a group that is known before any of it is done."""

    shards: int
    """Of each table."""
    pending: Sequence[str] = ()
    """Shards of which some table is to be made."""
    for_jobs: Sequence[str] = ()
    """Those of them that are certain to need a job. The others are made in this process, as far as calls are paid."""


class GroupRun:
    """One group of one run."""

    def __init__(self, group: Group, arrays: JobArrays, open_work: Callable[[], GroupWork]) -> None:
        """Describe it; nothing happens before `make`.

        Args:
            group: the nodes.
            arrays: its jobs.
            open_work: opens the nodes on the catalog.
        """
        self.group = group
        self._arrays = arrays
        self._open_work = open_work
        self._lock = threading.Lock()
        self._made = False
        self._error: BaseException | None = None

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

    @property
    def resources(self) -> Resources:
        """Resources of each task of its jobs."""
        return self._arrays.resources

    def workload(self) -> Workload:
        """Find out what is to be done, once all inputs are there; makes nothing."""
        work = self._open_work()
        ids = work.shard_ids()
        pending = work.pending(ids)
        return Workload(len(ids), pending, [shard for shard in pending if work.needs_job(shard)])

    def write(self, workload: Workload) -> Submission:
        """Write spec and script of the jobs that there would be."""
        return self._arrays.create(self.shares(workload.for_jobs), self._open_work().settings)

    def shares(self, shards: Sequence[str]) -> list[list[str]]:
        """Shards, dealt to the tasks of an array."""
        width = min(self.resources.tasks, len(shards))
        return [list(shards[number::width]) for number in range(width)]

    def abandon(self) -> list[Submission]:
        """Stop waiting; returns the submissions that are still at work."""
        return self._arrays.abandon()

    def _make(self) -> None:
        work = self._open_work()
        settings = work.settings
        ids = work.shard_ids()
        self._arrays.adopt(settings)
        taken = self._arrays.taken
        pending = [shard for shard in work.pending(ids) if shard not in taken]
        if for_jobs := self._take_paid(work, pending):
            self._arrays.submit(self.shares(for_jobs), settings)
        elif not pending and not taken:
            logger.info("%s: all %d shards are up to date; no job is needed", self.group.name, len(ids))
        self._arrays.wait(settings)

    def _take_paid(self, work: GroupWork, pending: Sequence[str]) -> list[str]:
        """Make the shards that were paid for; returns the others."""
        for_jobs = []
        for shard in pending:
            self._arrays.check_abandoned()
            if not work.take_paid(shard):
                for_jobs.append(shard)
        if made := len(pending) - len(for_jobs):
            logger.info(
                "%s: %d of %d shards were made here and need no job, since all of their calls are paid for",
                self.group.name, made, len(pending),
            )  # fmt: skip
        return for_jobs
