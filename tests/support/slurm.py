"""Slurm clusters of the test's own, whose parts can be killed, and what runs on them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import command_line
from tests.support.slurm_double import agent, book, commands, processes
from tests.support.waiting import wait_until

_ROOT = Path(__file__).resolve().parents[2]
SCRIPT = _ROOT / "tests/slurm/cluster.sh"

_FIELDS = ("JobID", "ArrayJobID", "ArrayTaskID", "State", "NodeList", "RestartCnt", "Reason", "Name")
_SEPARATOR = "|"
_ON_A_NODE = {"RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}


@dataclass(frozen=True)
class Job:
    """One row of `squeue`: a job, or one task of a job array."""

    id: str
    """What `SLURM_JOB_ID` says inside; each task of an array has its own."""
    array_id: str
    """What `sbatch` has printed; a job that is no array repeats its id."""
    task_id: str
    """Empty for a job that is no array."""
    name: str
    state: str
    node: str
    reason: str
    restarts: int


class Cluster(ABC):
    """Two nodes, n1 and n2, of 4 CPUs and 2 counted GPUs each.

    Attributes:
        folder: configuration, state and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @property
    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to use this cluster and no other."""

    @abstractmethod
    def start(self) -> None:
        """Start, or forget all jobs and begin anew; returns when both nodes are idle."""

    @abstractmethod
    def stop(self) -> None:
        """End all daemons and jobs."""

    @abstractmethod
    def kill_node(self, name: str) -> None:
        """Kill a node with all that runs on it, as when its power fails."""

    @abstractmethod
    def start_node(self, name: str) -> None:
        """Let a node come back."""

    @abstractmethod
    def kill_controller(self) -> None:
        """Kill the controller, once it has written down which jobs run."""

    @abstractmethod
    def start_controller(self) -> None:
        """Returns when the controller answers."""

    @abstractmethod
    def wait_idle(self) -> None:
        """Wait until both nodes are up and have no job.

        Raises:
            RuntimeError: with what is known of the cluster; a node is down, or a job stays.
        """

    def submit(self, script: Path | str, *options: str) -> str:
        """Submit a script by its path; returns the job's id."""
        printed = self.run("sbatch", "--parsable", *options, str(script))
        return printed.strip().partition(";")[0]

    def cancel(self, job_id: str) -> None:
        self.run("scancel", job_id)

    def jobs(self) -> list[Job]:
        """All jobs that the controller knows; ended ones stay for five minutes."""
        columns = ",".join(f"{field}:255{_SEPARATOR}" for field in _FIELDS)
        printed = self.run("squeue", "-h", "-r", "-t", "all", "-O", columns)
        return [_job(line) for line in printed.splitlines()]

    def pids(self, job_id: str, word: str = "") -> list[int]:
        """Processes of a job, on either node, whose command line contains the word."""
        return [
            pid
            for pid, environment in self._job_processes()
            if environment["SLURM_JOB_ID"] == job_id and word in command_line(pid)
        ]

    def orphans(self) -> list[int]:
        """Processes of jobs that no longer run, and of earlier attempts of jobs that run again."""
        found = list(self._job_processes())
        attempts = {(job.id, job.restarts) for job in self.jobs() if job.state in _ON_A_NODE}
        orphans = [pid for pid, environment in found if _attempt(environment) not in attempts]
        return [pid for pid in orphans if processes.environment(pid)]  # a job may have ended in between

    def wait_until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait for something to become true on this cluster.

        Raises:
            TimeoutError: it did not; the message shows the jobs.
        """
        try:
            wait_until(condition, seconds, every_s=0.1)
        except TimeoutError as error:
            raise TimeoutError("\n".join(map(str, self.jobs()))) from error

    def run(self, *command: str) -> str:
        """Run one of Slurm's commands; returns what it prints."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def _job_processes(self) -> Iterator[tuple[int, dict[str, str]]]:
        return processes.of_jobs(self.environment["SLURM_CONF"])


class RealCluster(Cluster):
    """A real Slurm with all its daemons on this host; see `tests/slurm/cluster.sh`."""

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        try:
            self._manage("start")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._manage("stop")

    def kill_node(self, name: str) -> None:
        self._manage("kill-node", name)

    def start_node(self, name: str) -> None:
        self._manage("start-node", name)

    def start_controller(self) -> None:
        self._manage("start-controller")

    def kill_controller(self) -> None:
        # A controller that forgets a start kills the job, or holds it; and it writes a start only with the next change.
        now = time.time()
        for job in self.jobs():
            if job.state == "RUNNING":
                self.run("scontrol", "update", f"JobId={job.id}", f"Comment={now}")
        self.wait_until(lambda: (self.folder / "state/job_state").stat().st_mtime > now)
        self._manage("kill-controller")

    def wait_idle(self) -> None:
        self._manage("wait")

    def _manage(self, command: str, *words: str) -> None:
        self.run(str(SCRIPT), command, str(self.folder), *words)


class DoubleCluster(Cluster):
    """A cluster without Slurm; see `tests/support/slurm_double`."""

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join((str(self.folder / "bin"), os.environ["PATH"]))
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    def start(self) -> None:
        self.stop()
        (self.folder / "book.json").unlink(missing_ok=True)
        scripts = self.folder / "bin"
        scripts.mkdir(exist_ok=True)
        for command in ("sbatch", "squeue", "scancel", "scontrol", "srun"):
            path = scripts / command
            path.write_text(commands.script_for(command, self.folder, _ROOT))
            path.chmod(0o755)

    def stop(self) -> None:
        commands.end_all(self.folder)

    def kill_node(self, name: str) -> None:
        agent.kill_node(self.folder, name)

    def start_node(self, name: str) -> None:
        with book.Book.opened(self.folder) as opened:
            opened.down.remove(name)
            agent.start_all(self.folder, opened)

    def kill_controller(self) -> None:
        self.order(silent=True)

    def start_controller(self) -> None:
        self.order(silent=False)

    def wait_idle(self) -> None:
        try:
            wait_until(self._idle, every_s=0.1)
        except TimeoutError as error:
            raise RuntimeError("\n".join(map(str, self.jobs()))) from error

    def order(self, **orders: object) -> None:
        """Let something go wrong from now on; see `Orders`."""
        commands.give_orders(self.folder, **orders)

    def bring(self, job_id: str, state: str) -> None:
        """End a task that runs, in this state; LOST: forget as well that it ever was."""
        with book.Book.opened(self.folder) as opened:
            opened.task(job_id).order = state

    def _idle(self) -> bool:
        state = book.Book.read(self.folder)
        busy = [task for task in state.tasks if task.state in book.ON_A_NODE or task.agent]
        return not (state.down or busy or state.orders.silent or any(self._job_processes()))


def installed() -> bool:
    """Whether the commands and daemons are here."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    return all(shutil.which(name, path=path) for name in ("slurmctld", "slurmd", "sbatch", "munged"))


def _job(line: str) -> Job:
    job_id, array_id, task_id, state, node, restarts, reason, name = (
        field.strip() for field in line.split(_SEPARATOR, maxsplit=len(_FIELDS) - 1)
    )
    return Job(
        id=job_id,
        array_id=array_id,
        task_id="" if task_id == "N/A" else task_id,
        name=name.removesuffix(_SEPARATOR).rstrip(),
        state=state,
        node=node,
        reason=reason,
        restarts=int(restarts),
    )


def _attempt(environment: dict[str, str]) -> tuple[str, int]:
    return environment["SLURM_JOB_ID"], int(environment.get("SLURM_RESTART_COUNT", "0"))
