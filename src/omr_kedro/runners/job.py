"""One task of a job array: `python -m omr_kedro.runners.job SPEC [TASK]`.

It opens the project as the parent did, starts the model server when the first call needs it, takes its share of the
shards through the nodes of its group, and says how it ended. It can be run by hand, for example inside `salloc`.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from kedro.framework.project import pipelines, settings
from kedro.framework.startup import bootstrap_project

from omr_kedro.llm.calls import ModelServerError, SpendingLimitError, StoppedError
from omr_kedro.llm.serving import Team
from omr_kedro.runners.account import SiblingSpending, open_account
from omr_kedro.runners.errors import JobFailedError
from omr_kedro.runners.slurm import REQUEUE_STATUS
from omr_kedro.runners.submission import JobSpec, Progress, Result, Submission
from omr_kedro.runners.work import GroupWork
from omr_kedro.sandbox import Usage
from omr_kedro.shards import OmrError

logger = logging.getLogger(__name__)

_HEARTBEAT_S = 2.0
_LOG_EVERY_S = 30.0
_GRACE_AFTER_TERM_S = 2.0
_MOST_UNPRODUCTIVE = 2
"""A first life may have spent its time on reading the model, which lies in the node's memory for the second. Slurm's
warning may also come a minute early."""


class Job:
    """One life of a task."""

    def __init__(self, submission: Submission, task: int) -> None:
        self.submission = submission
        self.spec = submission.spec
        self.task = task
        self.share = self.spec.shares[task]
        self._before = submission.progress(task) or Progress()
        self.progress = Progress(
            lives=self._before.lives + 1,
            shards=len(self.share),
            steps=len(self.share) * len(self.spec.nodes),
            rows=self._before.rows,
        )
        self._elsewhere = SiblingSpending(submission, task, self._before)
        self._began = time.monotonic()
        self._counting = threading.Lock()
        self._work: GroupWork | None = None
        self._terminated = False

    def run(self) -> int:
        """Do the work; returns the exit status."""
        self.submission.result_path(self.task).unlink(missing_ok=True)
        try:
            with open_work(self.spec) as self._work, self._reporting(), self._signals(), self._leading(self._work):
                self._elsewhere.look(self._work.spending)
                self._check_settings(self._work)
                self._take_share(self._work)
        except StoppedError as stopped:
            return self._stopped(str(stopped))
        except SpendingLimitError:
            return self._spent()
        except OmrError as error:
            # What explains itself will be no different next time, but a server may have had a bad day.
            return self._failed(str(error), retry=isinstance(error, ModelServerError))
        except BaseException:
            return self._failed(traceback.format_exc(), retry=True)
        logger.info("Done: %s", self._line())
        self.submission.write(self.submission.result_path(self.task), Result(state="done"))
        return 0

    def _take_share(self, work: GroupWork) -> None:
        for start in range(1, self.spec.server_starts + 1):
            try:
                with ExitStack() as stack:
                    stack.callback(work.release)
                    for model in work.models:
                        stack.enter_context(model.session.open())
                    self._run_lanes(work)
            except ModelServerError as error:
                if start == self.spec.server_starts:
                    raise
                logger.warning("Start %d of at most %d: %s", start, self.spec.server_starts, error)
                for model in work.models:
                    model.session.resume()
            else:
                return

    def _run_lanes(self, work: GroupWork) -> None:
        self.progress.shards_done = self.progress.steps_done = 0
        with ThreadPoolExecutor(min(self.spec.lanes, len(self.share)), thread_name_prefix="lane") as pool:
            lanes = [pool.submit(self._lane, work, shard, number) for number, shard in enumerate(self.share)]
            done, _ = wait(lanes, return_when=FIRST_EXCEPTION)
            errors = [error for lane in done if (error := lane.exception())]
            if errors:
                for model in work.models:
                    # A spending limit that is reached is no reason to lose calls in flight.
                    spent = isinstance(errors[0], SpendingLimitError)
                    grace_s = model.entry.limits.timeout_s if spent else self.spec.warn_s
                    model.session.halt("another shard of this job could not be made", grace_s)
                for lane in lanes:
                    lane.cancel()
                wait(lanes)
                errors += [error for lane in lanes if not lane.cancelled() and (error := lane.exception())]
        if errors:
            # A lane that was stopped says less than the one because of which it was.
            raise next((error for error in errors if not isinstance(error, StoppedError)), errors[0])

    def _lane(self, work: GroupWork, shard: str, number: int) -> None:
        for node, rows in work.take_through(shard, number):
            with self._counting:
                self.progress.steps_done += 1
                self.progress.rows += rows
                self.progress.node = node.name
            for model in work.models:
                model.session.check_halted()
        with self._counting:
            self.progress.shards_done += 1

    def _check_settings(self, work: GroupWork) -> None:
        now = work.settings
        if changed := [name for name, digest in self.spec.settings.items() if now.get(name) != digest]:
            raise JobFailedError(
                f"Changed since this job was submitted: {', '.join(changed)}. Nothing was asked; run the same command "
                "again, which submits the work with the new settings."
            )

    @contextmanager
    def _leading(self, work: GroupWork) -> Iterator[None]:
        """On the first of several nodes: let the others serve their parts of the model."""
        if self.spec.resources.nodes == 1:
            yield
            return
        team = _team(self.submission, self.task)
        for model in work.models:
            model.session.serve_with(team)
        try:
            yield
        finally:
            team.dismiss()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM)}
        signal.signal(signal.SIGUSR1, self._on_warning)
        signal.signal(signal.SIGTERM, self._on_term)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_warning(self, number: int, frame: FrameType | None) -> None:
        # Half of the time for calls in flight, the rest for what was finished to reach the disk.
        self._halt("the time limit is near", self.spec.warn_s / 2)

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        self._terminated = True
        self._halt("Slurm ends this job", _GRACE_AFTER_TERM_S)
        # Where Slurm keeps jobs in cgroups, this process alone is told; a cell would run until all are killed.
        for sandbox in self._work.sandboxes if self._work else []:
            sandbox.halt()

    def _halt(self, reason: str, grace_s: float) -> None:
        for model in self._work.models if self._work else []:
            model.session.halt(reason, grace_s)

    def _stopped(self, reason: str) -> int:
        """Exit status of a job that was stopped.

        Whoever cancels or pre-empts a job decides whether it comes back; after a warning it puts itself back.
        """
        self._count()
        logger.warning("Stopped, %s: %s", reason, self._line())
        if self._terminated:
            return 128 + signal.SIGTERM
        if self.progress.paid == self._before.paid and not self.progress.shards_done:
            self.progress.unproductive = self._before.unproductive + 1
            self._write_progress()
        if self.progress.unproductive >= _MOST_UNPRODUCTIVE:
            return self._failed(
                f"The time limit ({self.spec.resources.time}) is so short that nothing could be finished within it. "
                f"Raise `time` of {self.spec.group} in runner.yml.",
                retry=False,
            )
        self.submission.write(self.submission.result_path(self.task), Result(state="unfinished", error=reason))
        return REQUEUE_STATUS

    def _spent(self) -> int:
        self._count()
        spent = self._work.spending.tell() if self._work else ""
        return self._ended(Result(state="spent", error=f"this run has spent what it may: {spent}"))

    def _failed(self, error: str, *, retry: bool) -> int:
        return self._ended(Result(state="failed", error=error, retry=retry))

    def _ended(self, result: Result) -> int:
        logger.error("%s", result.error)
        self.submission.write(self.submission.result_path(self.task), result)
        return 1

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        ended = threading.Event()
        reporter = threading.Thread(target=self._report, args=(ended,), daemon=True)
        reporter.start()
        try:
            yield
        finally:
            ended.set()
            reporter.join()
            self._write_progress()

    def _report(self, ended: threading.Event) -> None:
        logged_at = time.monotonic()
        while not ended.wait(_HEARTBEAT_S):
            self._write_progress()
            if self._work:
                self._elsewhere.look(self._work.spending)
            if time.monotonic() - logged_at >= _LOG_EVERY_S:
                logged_at = time.monotonic()
                logger.info("%s", self._line())

    def _write_progress(self) -> None:
        self._count()
        self.submission.write(self.submission.progress_path(self.task), self.progress)

    def _count(self) -> None:
        tallies = [tally for model in (self._work.models if self._work else []) for tally in model.session.tallies]
        before = self._before
        for name in ("paid", "prompt_tokens", "completion_tokens"):
            setattr(self.progress, name, getattr(before, name) + sum(getattr(tally, name) for tally in tallies))
        self.progress.money = before.money + (self._work.spending.spent.money if self._work else 0)
        self.progress.code_run = before.code_run + (self._work.code_run if self._work else Usage())
        # Failed calls of an earlier life are asked again; what it has paid for is found on disk, as are older calls.
        self.progress.failed = sum(tally.failed for tally in tallies)
        self.progress.reused = max(before.reused, sum(tally.reused for tally in tallies) - before.paid)
        self.progress.in_flight = sum(len(tally.in_flight) for tally in tallies)
        self.progress.seconds = before.seconds + time.monotonic() - self._began
        starts = [model.session.server_started_in_s for model in (self._work.models if self._work else [])]
        self.progress.server_s = max((seconds for seconds in starts if seconds is not None), default=None)
        sent = [tally.first_sent_at for tally in tallies if tally.first_sent_at is not None]
        self.progress.first_call_s = min(sent) - self._began if sent else None

    def _line(self) -> str:
        now = self.progress
        return (
            f"{self.spec.group}, task {self.task}: {now.shards_done}/{now.shards} shards, {now.paid:,} calls "
            f"({now.prompt_tokens:,} prompt + {now.completion_tokens:,} completion tokens), "
            f"{now.reused:,} taken from earlier runs, {now.failed:,} failed, {now.in_flight} in flight"
            f"{f'; code: {now.code_run}' if now.code_run.cells else ''}"
        )


@contextmanager
def open_work(spec: JobSpec) -> Iterator[GroupWork]:
    """The nodes of a spec, on the catalog that the parent has."""
    os.chdir(spec.project_path)
    bootstrap_project(Path(spec.project_path))
    with settings.SESSION_CLASS.create(
        project_path=spec.project_path,
        env=spec.env,
        conf_source=spec.conf_source,
        runtime_params=spec.runtime_params,
        save_on_close=False,
    ) as session:
        pipelines.set_requested(spec.pipeline_names or None)
        context = session.load_context()
        catalog = context._get_catalog(catalog_class=settings.DATA_CATALOG_CLASS, save_version=spec.run_id)
        every = {node.name: node for name in spec.pipeline_names or ["__default__"] for node in pipelines[name].nodes}
        work = GroupWork([every[name] for name in spec.nodes], catalog)
        work.spending = open_account(catalog, work.named_models)
        yield work


def _team(submission: Submission, task: int) -> Team:
    life = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    # `srun` is called on the first node of a job.
    address = os.environ.get("SLURM_LAUNCH_NODE_IPADDR") or socket.gethostname()
    return Team(submission.spec.resources.nodes, address, submission.team_path(task, life))


def help_out(submission: Submission, task: int, rank: int) -> int:
    """Serve this node's part of a model that the first node of the task asks."""
    # The warning before the time limit is for the first node, which says when it is over.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    with open_work(submission.spec) as work:
        servers = [model.entry.server for model in work.models if model.entry.server]
    _team(submission, task).follow(rank, servers[0])
    return 0


def main(words: list[str]) -> int:
    """Run a task; its number comes from Slurm, or from the command line."""
    submission = Submission.read(Path(words[0]).parent)
    task = int(words[1] if len(words) > 1 else os.environ.get("SLURM_ARRAY_TASK_ID", "0"))
    rank = int(os.environ.get("SLURM_PROCID", "0")) if submission.spec.resources.nodes > 1 else 0
    return help_out(submission, task, rank) if rank else Job(submission, task).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
