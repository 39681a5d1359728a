"""What the controller knows: nodes, tasks and what tests have ordered, in one file behind a lock."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

CPUS, GPUS, DEFAULT_MB_PER_CPU = 4, 2, 1000
"""Of a node, as in `tests/slurm/cluster.sh`."""
NODES = ("n1", "n2")
OVER = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"}
ON_A_NODE = {"RUNNING", "COMPLETING"}


@dataclass
class Task:
    """One job, or one task of an array."""

    id: str
    array_id: str
    task_id: int | None
    """None for a job that is no array."""
    name: str
    folder: str
    """Where its script was submitted."""
    cpus: int
    gpus: int
    memory_mb: int
    node_count: int
    output: str
    error: str
    append: bool
    requeue: bool
    width: int | None = None
    """How many tasks of the array may run at a time."""
    state: str = "PENDING"
    reason: str = "None"
    held: bool = False
    nodes: list[str] = field(default_factory=list)
    restarts: int = 0
    agent: int | None = None
    """The process that runs it."""
    order: str = ""
    """What its agent is to bring it into: a state that ends it, REQUEUED, HELD, or LOST, that is unknown to all."""

    @property
    def shown_id(self) -> str:
        """As people write it: `12_3`."""
        return self.array_id if self.task_id is None else f"{self.array_id}_{self.task_id}"

    def wait(self, reason: str, *, held: bool = False) -> None:
        """Put it back into the queue."""
        self.state, self.reason, self.held = "PENDING", reason, held
        self.nodes, self.agent, self.order = [], None, ""
        self.restarts += 1

    def end(self, state: str, reason: str = "None") -> None:
        """Let it never run again."""
        self.state, self.reason, self.agent, self.order = state, reason, None, ""


@dataclass
class Orders:
    """What tests want to go wrong."""

    silent: bool = False
    """The controller does not answer."""
    refuse: str = ""
    """Submissions are refused with this reason."""
    deaf: int = 0
    """So many submissions are taken without an answer that reaches the caller."""
    fail_to_start: int = 0
    """So many tasks cannot be started, and are held."""
    kill_wait_s: float = 5.0
    """How long processes may take to end, before they are killed."""


@dataclass
class Book:
    """Everything."""

    last_id: int = 0
    down: list[str] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    orders: Orders = field(default_factory=Orders)

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator[Book]:
        """The book of a folder, for one who alone has it; what he changes is kept, unless he raises."""
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            book = cls.read(folder)
            yield book
            draft = folder / "book.json.new"
            draft.write_text(json.dumps(asdict(book), indent=1))
            draft.replace(folder / "book.json")

    @classmethod
    def read(cls, folder: Path) -> Book:
        """The book as it stands, only to be looked at."""
        path = folder / "book.json"
        if not path.exists():
            return cls()
        kept = json.loads(path.read_bytes())
        tasks = [Task(**task) for task in kept.pop("tasks")]
        return cls(tasks=tasks, orders=Orders(**kept.pop("orders")), **kept)

    def task(self, job_id: str) -> Task:
        """The task whose SLURM_JOB_ID this is.

        Raises:
            KeyError: there is none.
        """
        for task in self.tasks:
            if task.id == job_id:
                return task
        raise KeyError(job_id)

    def called(self, shown_id: str) -> list[Task]:
        """The tasks that somebody means by `12` or `12_3`."""
        array, _, number = shown_id.partition("_")
        if number:
            return [task for task in self.tasks if task.shown_id == shown_id]
        of_array = [task for task in self.tasks if task.array_id == array]
        return of_array or [task for task in self.tasks if task.id == array]

    def startable(self) -> Iterator[tuple[Task, list[str]]]:
        """Tasks that may start now, each with its nodes; whoever takes one starts it before asking for the next."""
        for task in self.tasks:
            if task.state != "PENDING" or task.held:
                continue
            running = sum(other.array_id == task.array_id and other.state in ON_A_NODE for other in self.tasks)
            free = [name for name in NODES if self._has_room(name, task)]
            if task.width is not None and running >= task.width:
                task.reason = "JobArrayTaskLimit"
            elif len(free) < task.node_count:
                task.reason = "Resources"
            else:
                yield task, free[: task.node_count]

    def _has_room(self, node: str, task: Task) -> bool:
        there = [other for other in self.tasks if node in other.nodes and other.state in ON_A_NODE]
        cpus, gpus = sum(other.cpus for other in there), sum(other.gpus for other in there)
        return node not in self.down and cpus + task.cpus <= CPUS and gpus + task.gpus <= GPUS
