"""The life of one task: `python -m tests.support.slurm_double.agent FOLDER JOB_ID`, one process for each."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from tests.support.slurm_double import processes
from tests.support.slurm_double.book import NODES, Book

_TICK_S = 0.05
_WEIGH_EVERY = 10
"""Ticks between two looks at the memory of a job."""
_ROOT = Path(__file__).resolve().parents[3]


def start_all(folder: Path, book: Book) -> None:
    """Give each task that may run its nodes and an agent."""
    for task, nodes in book.startable():
        if book.orders.fail_to_start:
            book.orders.fail_to_start -= 1
            task.wait("launch failed requeued held", held=True)
            continue
        task.state, task.reason, task.nodes = "RUNNING", "None", nodes
        # It carries nothing of the job that may have started it by its end.
        clean = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(_ROOT)}
        words = [sys.executable, "-S", "-m", "tests.support.slurm_double.agent", str(folder), task.id]
        log = (folder / "agents.log").open("a")
        task.agent = subprocess.Popen(
            words, env=clean, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        ).pid


class Agent:
    """Runs a task's script and watches over it, as slurmd and slurmstepd do."""

    def __init__(self, folder: Path, job_id: str) -> None:
        self._folder = folder
        with Book.opened(folder) as book:
            self._task = book.task(job_id)
            self._orders = book.orders
        self._conf = str(folder / "slurm.conf")

    def live(self) -> None:
        """Run the script to its end, or to that which somebody has ordered, and tell the controller."""
        script = self._start()
        state = self._watch(script)
        self._end_processes()
        script.wait()
        self._report(state or ("COMPLETED" if script.returncode == 0 else "FAILED"))

    def _start(self) -> subprocess.Popen[bytes]:
        jobs = self._folder / "jobs"
        kept = json.loads((jobs / f"{self._task.array_id}.environment").read_bytes())
        mode: Literal["ab", "wb"] = "ab" if self._task.append or self._task.restarts else "wb"
        with self._log(self._task.output, mode) as out, self._log(self._task.error, mode) as err:
            return subprocess.Popen(
                ["/bin/bash", str(jobs / f"{self._task.array_id}.script")],
                env={**kept, **self._variables()},
                cwd=self._task.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out if self._task.error == self._task.output else err,
                start_new_session=True,
            )

    def _log(self, pattern: str, mode: Literal["ab", "wb"]) -> BinaryIO:
        number = "" if self._task.task_id is None else str(self._task.task_id)
        symbols = {"%a": number, "%A": self._task.array_id, "%j": self._task.id, "%%": "%"}
        name = re.sub("%[aAj%]", lambda symbol: symbols[symbol.group()], pattern)
        return (Path(self._task.folder) / name).open(mode)

    def _variables(self) -> dict[str, str]:
        task = self._task
        number = {} if task.task_id is None else {"SLURM_ARRAY_TASK_ID": str(task.task_id)}
        again = {"SLURM_RESTART_COUNT": str(task.restarts)} if task.restarts else {}
        return {
            "SLURM_CONF": self._conf,
            "SLURM_JOB_ID": task.id,
            "SLURM_ARRAY_JOB_ID": task.array_id,
            "SLURM_JOB_NAME": task.name,
            "SLURM_JOB_NODELIST": ",".join(task.nodes),
            "SLURM_JOB_NUM_NODES": str(task.node_count),
            "SLURMD_NODENAME": task.nodes[0],
            **number,
            **again,
        }

    def _watch(self, script: subprocess.Popen[bytes]) -> str:
        """How somebody else has ended it; empty when the script has come to its end."""
        ticks = 0
        while True:
            try:
                script.wait(_TICK_S)
            except subprocess.TimeoutExpired:
                pass
            else:
                return ""
            ticks += 1
            if order := self._order():
                return order
            if ticks % _WEIGH_EVERY == 0 and (used := self._used_mb()) > self._task.memory_mb:
                mb = self._task.memory_mb
                self._say(f"Job {self._task.id} exceeded memory limit ({used:.0f} > {mb}), being killed")
                return "OUT_OF_MEMORY"

    def _order(self) -> str:
        book = Book.read(self._folder)
        self._orders = book.orders
        return next((task.order for task in book.tasks if task.id == self._task.id), "LOST")

    def _used_mb(self) -> float:
        return sum(processes.resident_mb(pid) for pid, _ in self._processes())

    def _processes(self) -> Iterator[tuple[int, dict[str, str]]]:
        for pid, variables in processes.of_jobs(self._conf):
            if variables["SLURM_JOB_ID"] == self._task.id:
                yield pid, variables

    def _say(self, words: str) -> None:
        with self._log(self._task.error, "ab") as log:
            log.write(f"slurmstepd: error: {words}\n".encode())

    def _end_processes(self) -> None:
        with Book.opened(self._folder) as book:
            if self._task.id in {task.id for task in book.tasks}:
                book.task(self._task.id).state = "COMPLETING"
        for number, patience_s in ((signal.SIGTERM, self._orders.kill_wait_s), (signal.SIGKILL, 60.0)):
            for pid, _ in self._processes():
                processes.send(pid, number)
            end = time.monotonic() + patience_s
            while any(self._processes()) and time.monotonic() < end:
                time.sleep(_TICK_S)

    def _report(self, state: str) -> None:
        while True:
            with Book.opened(self._folder) as book:
                if not book.orders.silent:
                    settle(book, self._task.id, state)
                    start_all(self._folder, book)
                    return
            time.sleep(_TICK_S)


def settle(book: Book, job_id: str, state: str) -> None:
    """Write down what has become of a task that is on no node any more."""
    task = book.task(job_id)
    if state == "LOST":
        book.tasks.remove(task)
    elif state == "REQUEUED":
        task.wait("BeginTime")
    elif state == "HELD":
        task.wait("JobHeldUser", held=True)
    elif state in ("NODE_FAIL", "PREEMPTED") and task.requeue:
        task.wait("BeginTime")
    else:
        task.end(state, {"FAILED": "NonZeroExitCode", "TIMEOUT": "TimeLimit"}.get(state, "None"))


def signal_steps(conf: str, job_id: str, number: signal.Signals) -> None:
    """Send a signal to all that `srun` has started for a job, but not to its script."""
    for pid, variables in processes.of_jobs(conf):
        if variables["SLURM_JOB_ID"] == job_id and "SLURM_STEP_ID" in variables:
            processes.send(pid, number)


def kill_node(folder: Path, name: str) -> None:
    """Kill all that runs on a node, as when its power fails; the controller notices at once."""
    assert name in NODES
    with Book.opened(folder) as book:
        book.down = sorted({*book.down, name})
        hit = [task for task in book.tasks if name in task.nodes and task.agent]
        for task in hit:
            processes.send(task.agent or 0, signal.SIGKILL)
        for pid, variables in processes.of_jobs(str(folder / "slurm.conf")):
            if variables["SLURM_JOB_ID"] in {task.id for task in hit}:
                processes.send(pid, signal.SIGKILL)
        for task in hit:
            settle(book, task.id, "NODE_FAIL")


if __name__ == "__main__":
    Agent(Path(sys.argv[1]), sys.argv[2]).live()
