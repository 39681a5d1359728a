"""A Slurm cluster of the test's own, whose parts can be killed, and what runs on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import wait_until

SCRIPT = Path(__file__).resolve().parents[1] / "slurm" / "cluster.sh"

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


class Cluster:
    """Two nodes, n1 and n2, of 4 CPUs and 2 counted GPUs each. See `tests/slurm/cluster.sh`.

    Attributes:
        folder: configuration, state and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def start(cls, folder: Path) -> Cluster:
        """Start all daemons; returns when both nodes are idle."""
        cluster = cls(folder.resolve())
        try:
            cluster._manage("start")
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to use this cluster and no other."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def stop(self) -> None:
        """End all daemons and jobs."""
        self._manage("stop")

    def kill_node(self, name: str) -> None:
        """Kill a node with all that runs on it, as when its power fails."""
        self._manage("kill-node", name)

    def start_node(self, name: str) -> None:
        self._manage("start-node", name)

    def start_controller(self) -> None:
        """Returns when the controller answers."""
        self._manage("start-controller")

    def kill_controller(self) -> None:
        """Kill the controller, once it has written down which jobs run.

        A controller that forgets a start kills the job, or holds it; and it writes a start only with the next change.
        """
        now = time.time()
        for job in self.jobs():
            if job.state == "RUNNING":
                self.run("scontrol", "update", f"JobId={job.id}", f"Comment={now}")
        self.wait_until(lambda: (self.folder / "state/job_state").stat().st_mtime > now)
        self._manage("kill-controller")

    def wait_idle(self) -> None:
        """Wait until both nodes are up and have no job.

        Raises:
            RuntimeError: with what the controller and its log say; a node is down, or a job stays.
        """
        self._manage("wait")

    def restart(self) -> None:
        """Forget all jobs and begin anew."""
        self._manage("start")

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
            if environment["SLURM_JOB_ID"] == job_id and word in _command_line(pid)
        ]

    def orphans(self) -> list[int]:
        """Processes of jobs that no longer run, and of earlier attempts of jobs that run again."""
        processes = list(self._job_processes())
        attempts = {(job.id, job.restarts) for job in self.jobs() if job.state in _ON_A_NODE}
        orphans = [pid for pid, environment in processes if _attempt(environment) not in attempts]
        return [pid for pid in orphans if _environment(pid)]  # a job may have ended in between

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

    def _manage(self, command: str, *words: str) -> None:
        self.run(str(SCRIPT), command, str(self.folder), *words)

    def _job_processes(self) -> Iterator[tuple[int, dict[str, str]]]:
        for path in Path("/proc").glob("[0-9]*"):
            environment = _environment(int(path.name))
            ours = environment.get("SLURM_CONF") == self.environment["SLURM_CONF"]
            # The node's name is in no shell from which somebody has submitted a job.
            if ours and "SLURM_JOB_ID" in environment and "SLURMD_NODENAME" in environment:
                yield int(path.name), environment


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


def _environment(pid: int) -> dict[str, str]:
    """What the process was started with; empty when it has gone."""
    try:
        block = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (entry.decode(errors="replace").partition("=") for entry in block.split(b"\0") if entry)
    return {name: value for name, _, value in pairs}


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
