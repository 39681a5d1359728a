"""Questions to Slurm, through its own commands: sbatch, squeue, scancel. No accounting is needed."""

from __future__ import annotations

import logging
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omr_kedro.runners.errors import SlurmError
from omr_kedro.runners.resources import Resources
from omr_kedro.runners.submission import JobSpec

logger = logging.getLogger(__name__)

REQUEUE_STATUS = 75
"""A job that ends with this status (EX_TEMPFAIL) is put back into the queue by its script."""

_COMMAND_TIMEOUT_S = 60
_PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_PATIENCE_S = 600
"""How long a controller that does not answer is asked again before a submission fails."""
_RETRY_S = 5.0
_UNREACHABLE = ("unable to contact", "connection refused", "socket timed out", "communication", "try again")
_GONE = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
    "REVOKED", "TIMEOUT",
}  # fmt: skip


def is_here() -> bool:
    """Whether this machine can submit jobs."""
    return shutil.which("sbatch") is not None


@dataclass(frozen=True)
class TaskState:
    """The state of a task of an array, as Slurm says it."""

    job_id: str
    """As `12_3`."""
    state: str
    reason: str
    node: str

    @property
    def gone(self) -> bool:
        """Whether it will not run any more."""
        return self.state in _GONE

    @property
    def held(self) -> bool:
        """Whether it waits for a person: Slurm holds what it could not start, and users hold jobs themselves."""
        return self.state == "PENDING" and "held" in self.reason.lower()


@dataclass(frozen=True)
class Snapshot:
    """States of all tasks at one time (monotonic seconds), by job name and number of the task."""

    taken_at: float
    tasks: Mapping[str, Mapping[int, TaskState]] = field(default_factory=dict)


class Queue:
    """The queue, as one question every `poll_s` seconds shows it, whatever the number of jobs and of those who look."""

    def __init__(self, poll_s: float) -> None:
        self._poll_s = poll_s
        self._lock = threading.Lock()
        self._names: set[str] = set()
        self._snapshot = Snapshot(float("-inf"))
        self._asked_at = float("-inf")
        self._silent_since: float | None = None

    def watch(self, name: str) -> None:
        """Ask about the jobs of this name from now on."""
        with self._lock:
            self._names.add(name)

    def forget(self, name: str) -> None:
        """Ask about them no more."""
        with self._lock:
            self._names.discard(name)

    def look(self) -> Snapshot:
        """The latest answer; a controller that is down leaves the one before."""
        with self._lock:
            if self._names and time.monotonic() - self._asked_at >= self._poll_s:
                self._asked_at = time.monotonic()
                self._ask()
            return self._snapshot

    def _ask(self) -> None:
        try:
            tasks = ask_queue(self._names)
        except SlurmError as error:
            if self._silent_since is None:
                logger.warning("Slurm does not answer; jobs go on, and it is asked again. %s", error)
                self._silent_since = time.monotonic()
            return
        if self._silent_since is not None:
            logger.info("Slurm answers again after %.0f s.", time.monotonic() - self._silent_since)
            self._silent_since = None
        self._snapshot = Snapshot(time.monotonic(), tasks)


def ask_queue(names: Iterable[str]) -> dict[str, dict[int, TaskState]]:
    """States of all tasks of the jobs with these names, by name and number; one `squeue`.

    Raises:
        SlurmError: Slurm does not answer.
    """
    form = "%j|%F|%K|%T|%r|%N"
    words = ["squeue", "--me", "--noheader", "--array", "--states=all", f"--name={','.join(sorted(names))}"]
    tasks: dict[str, dict[int, TaskState]] = {}
    for line in _run([*words, f"--format={form}"]).splitlines():
        name, array, task, state, reason, node = line.split("|")
        if task.isdigit():
            tasks.setdefault(name, {})[int(task)] = TaskState(f"{array}_{task}", state, reason, node)
    return tasks


def submit(script: Path, name: str, sleep: Callable[[float], None] = time.sleep) -> str:
    """Submit a script; returns the number of the job.

    A controller that does not answer may have taken the job all the same, so it is looked for by its name, which no
    other job has, before it is submitted again.

    Raises:
        SlurmError: Slurm refuses, or does not answer for ten minutes.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return _run(["sbatch", "--parsable", str(script)]).strip().partition(";")[0]
        except SlurmError as error:
            if not any(sign in str(error).lower() for sign in _UNREACHABLE) or time.monotonic() > deadline:
                raise
            logger.warning("Slurm does not answer; trying again. %s", error)
        while True:
            sleep(_RETRY_S)
            try:
                if found := ask_queue([name]).get(name):
                    return next(iter(found.values())).job_id.partition("_")[0]
                break
            except SlurmError:
                if time.monotonic() > deadline:
                    raise


def cancel(job_ids: Sequence[str]) -> None:
    """Cancel jobs; those that are gone already are none of our business.

    Raises:
        SlurmError: Slurm does not answer.
    """
    if job_ids:
        _run(["scancel", "--quiet", *job_ids])


def batch_script(spec: JobSpec, folder: Path) -> str:
    """The script of a job array.

    Raises:
        SlurmError: the path of the folder cannot stand in a directive.
    """
    resources = spec.resources
    container = []
    if resources.container_image:
        mounts = resources.container_mounts or f"{spec.project_path}:{spec.project_path}"
        container = [
            f"--container-image={resources.container_image}",
            f"--container-mounts={mounts}",
            f"--container-workdir={spec.project_path}",
        ]
    python = resources.python or ("python" if resources.container_image else sys.executable)
    # One process for each node; the first does the work, and the others help it to serve a large model.
    srun = ["srun", f"--ntasks={resources.nodes}", "--ntasks-per-node=1", "--kill-on-bad-exit=1", *container]
    # Since Slurm 22.05 a step does not inherit the CPUs of its job, and would be bound to one.
    srun += [f"--cpus-per-task={resources.cpus_per_task}"] if resources.cpus_per_task else []
    job = [python, "-m", "omr_kedro.runners.job", str(folder / "spec.json")]
    lines = [
        "#!/bin/bash",
        *(f"#SBATCH {option}" for option in [*_options(spec, folder), *resources.directives]),
        "",
        f"cd {shlex.quote(spec.project_path)} || exit 1",
        *resources.setup,
        "",
        shlex.join([*srun, *job]),
        "status=$?",
        f"# {REQUEUE_STATUS}: the time is up, and there is more to do. Finished calls are on disk.",
        f'if [ "$status" -eq {REQUEUE_STATUS} ]; then',
        '    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}" && sleep 60',
        "fi",
        'exit "$status"',
    ]
    return "\n".join(lines) + "\n"


def _options(spec: JobSpec, folder: Path) -> list[str]:
    resources = spec.resources
    width = f"%{resources.max_running}" if resources.max_running else ""
    options: dict[str, object] = {
        "job-name": spec.name,
        "array": f"0-{len(spec.shares) - 1}{width}",
        "output": f"{_log_folder(folder)}/task-%a.out",
        "error": f"{_log_folder(folder)}/task-%a.err",
        "open-mode": "append",
        "partition": resources.partition,
        "account": resources.account,
        "qos": resources.qos,
        "nodes": resources.nodes,
        "ntasks-per-node": 1,
        "gpus-per-node": resources.gpus_per_node or None,
        "cpus-per-task": resources.cpus_per_task,
        "mem": resources.mem,
        "time": resources.time,
        "signal": f"USR1@{spec.warn_s}",
    }
    return [*(f"--{name}={_quoted(str(value))}" for name, value in options.items() if value), "--requeue"]


def _log_folder(folder: Path) -> str:
    """The path of a folder in a name of log files, where `%` begins a symbol and a backslash switches symbols off."""
    path = str(folder)
    if "\\" in path or not path.isprintable():
        raise SlurmError(
            f"Slurm cannot write logs into {path!r}: its names of files may hold no backslash and no "
            "control character. Use a workspace with another path."
        )
    return path.replace("%", "%%")


def _quoted(value: str) -> str:
    """A value of a directive: sbatch splits at blanks, ends a line at `#`, and knows quotes as a shell does."""
    if _PLAIN.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _run(words: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 (words of our own, no shell)
            words, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise SlurmError(f"`{words[0]}` is not on this machine.") from None
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{words[0]}: socket timed out after {_COMMAND_TIMEOUT_S} s") from None
    if done.returncode:
        raise SlurmError(f"{shlex.join(words)} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def gpus(resources: Resources, tasks: int) -> int:
    """GPUs that an array of so many tasks holds when all of them run."""
    running = min(tasks, resources.max_running or tasks)
    return running * resources.nodes * resources.gpus_per_node
