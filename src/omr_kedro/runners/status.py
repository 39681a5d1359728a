"""How far the jobs of a project are, on one screen: read from their folders, and one question to Slurm."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from omr_kedro.runners import slurm
from omr_kedro.runners.errors import SlurmError
from omr_kedro.runners.slurm import TaskState
from omr_kedro.runners.submission import Progress, Result, Submission
from omr_kedro.sandbox import Usage
from omr_kedro.screen import add_numbers, stage_rows


@dataclass(frozen=True)
class Task:
    """One share of the shards, in the last job that took it."""

    submission: Submission
    number: int
    progress: Progress = field(default_factory=Progress)
    result: Result | None = None
    slurm: TaskState | None = None

    @classmethod
    def read(cls, submission: Submission, number: int, state: TaskState | None = None) -> Task:
        """As its files and Slurm say."""
        progress = submission.progress(number) or Progress()
        return cls(submission, number, progress, submission.result(number), state)

    @property
    def job(self) -> str:
        """Its name in Slurm's words, as `12_3`."""
        return f"{self.submission.job_id}_{self.number}"

    @property
    def state(self) -> str:
        """One word: done, failed, lost, or what Slurm says."""
        if self.result and self.result.state != "unfinished":
            return self.result.state
        if self.slurm and not self.slurm.gone:
            return self.slurm.state.lower()
        return "stopped" if self.submission.is_ended or self.slurm else "unknown"

    @property
    def shards(self) -> int:
        """Shards of its share."""
        return len(self.submission.spec.shares[self.number])

    @property
    def steps(self) -> int:
        """Tables of shards that it is to make, one for each shard and node."""
        return self.shards * len(self.submission.spec.nodes)


@dataclass(frozen=True)
class GroupStatus:
    """All tasks of a group."""

    name: str
    tasks: Sequence[Task]
    lost: Sequence[Task] = ()
    """Tasks whose share another one has taken over."""

    @property
    def states(self) -> Counter[str]:
        """How many tasks are in which state."""
        return Counter(task.state for task in self.tasks)

    @property
    def at_work(self) -> bool:
        """Whether some task is not over yet, as far as anybody knows."""
        return any(not task.submission.is_ended for task in self.tasks)

    @property
    def shards(self) -> int:
        """Shards of all tasks."""
        return sum(task.shards for task in self.tasks)

    @property
    def jobs(self) -> list[str]:
        """Slurm's numbers, in the order of submission."""
        return list(dict.fromkeys(task.submission.job_id or "not yet known" for task in (*self.lost, *self.tasks)))

    @property
    def models(self) -> list[str]:
        """Models that the tasks ask, by the names that the endpoints know."""
        return list(dict.fromkeys(name for task in self.tasks for name in task.submission.spec.models.values()))

    def total(self, name: str) -> int:
        """Sum of a number in the progress of the tasks."""
        return sum(int(getattr(task.progress, name)) for task in self.tasks)

    def spent(self, name: str) -> int:
        """The same, with what lost tasks have spent."""
        return self.total(name) + sum(int(getattr(task.progress, name)) for task in self.lost)

    @property
    def code_run(self) -> Usage:
        """Use of the sandbox by all tasks, lost ones as well."""
        return sum((task.progress.code_run for task in (*self.tasks, *self.lost)), Usage())

    def rate(self, name: str) -> float:
        """The same a second, of the tasks that run."""
        running = [task.progress for task in self.tasks if task.state == "running" and task.progress.seconds]
        return sum(float(getattr(progress, name)) / progress.seconds for progress in running)

    @property
    def seconds_left(self) -> float | None:
        """About how long the rest takes with the tasks that run now; None when nothing tells.

        A step of one stage takes longer than one of another, and calls of early stages come first: the estimate gets
        better as a group goes on.
        """
        speed = self.rate("steps_done")
        steps = sum(
            task.steps - task.progress.steps_done
            for task in self.tasks
            if task.state not in ("done", "failed", "spent")
        )
        return steps / speed if speed else None


def read_status(root: Path) -> list[GroupStatus]:
    """The groups whose jobs lie in a folder: those at work, and the last run of the others; the oldest first."""
    submissions = _of_interest(Submission.submitted_to(root))
    return summarise(submissions, _ask([item.spec.name for item in submissions if not item.is_ended]))


def summarise(submissions: Iterable[Submission], states: Mapping[str, Mapping[int, TaskState]]) -> list[GroupStatus]:
    """One status for each group, from its submissions in their order and the states of their tasks by job name."""
    latest: dict[tuple[str, ...], Task] = {}
    lost: dict[str, list[Task]] = defaultdict(list)
    for item in submissions:
        for number, share in enumerate(item.spec.shares):
            key = (item.spec.group, *share)
            if key in latest:
                lost[item.spec.group].append(latest[key])
            latest[key] = Task.read(item, number, states.get(item.spec.name, {}).get(number))
    groups: dict[str, list[Task]] = defaultdict(list)
    for (group, *_), task in latest.items():
        groups[group].append(task)
    return [GroupStatus(name, tasks, lost[name]) for name, tasks in groups.items()]


def as_table(groups: Sequence[GroupStatus]) -> Table:
    """One row a group, for a screen of 80 columns or more; see `details` for the rest."""
    table = stage_rows("Jobs on Slurm", "group")
    table.add_column("tasks", overflow="fold", min_width=9)
    add_numbers(table, "shards", "calls", "failed", "calls/s", "tokens/s", "time left")
    for group in groups:
        table.add_row(
            group.name,
            ", ".join(f"{count} {state}" for state, count in sorted(group.states.items())),
            f"{group.total('shards_done'):,}/{group.shards:,}",
            f"{group.spent('paid'):,}",
            f"{group.total('failed'):,}",
            f"{group.rate('paid'):,.1f}",
            f"{group.rate('prompt_tokens') + group.rate('completion_tokens'):,.0f}",
            duration(group.seconds_left),
        )
    return table


def details(groups: Iterable[GroupStatus]) -> list[str]:
    """A line for each group: its model, its jobs, its rows a second, its tokens."""
    return [
        f"{group.name}: {', '.join(group.models) or 'no model'}; jobs {', '.join(group.jobs)}; "
        f"{group.rate('rows'):,.1f} rows/s; "
        f"{group.spent('prompt_tokens'):,} prompt + {group.spent('completion_tokens'):,} completion tokens"
        f"{f'; code: {group.code_run}' if group.code_run.cells else ''}"
        for group in groups
    ]


def troubles(groups: Iterable[GroupStatus]) -> list[str]:
    """A line for each task that needs a person: why it waits, or how it failed and where its logs are."""
    lines = []
    for task in (task for group in groups for task in group.tasks):
        logs = task.submission.folder / f"task-{task.number}.err"
        if task.result and task.result.state == "failed":
            lines.append(f"{task.job} failed: {task.result.error.strip().splitlines()[-1]} ({logs})")
        elif task.state == "spent":
            lines.append(
                f"{task.job} stopped, since the run may spend no more; the same `kedro run` takes it up ({logs})"
            )
        elif task.state == "pending" and task.slurm:
            lines.append(f"{task.job} waits: {task.slurm.reason}")
        elif task.state in ("stopped", "unknown"):
            said = task.slurm.state if task.slurm else "unknown to Slurm"
            lines.append(f"{task.job} is {said}, not done; the same `kedro run` takes it up ({logs})")
    return lines


def _of_interest(submissions: Iterable[Submission]) -> list[Submission]:
    every = list(submissions)
    last_run = {item.spec.group: item.spec.run_id for item in every}
    return [item for item in every if not item.is_ended or item.spec.run_id == last_run[item.spec.group]]


def _ask(names: list[str]) -> Mapping[str, Mapping[int, TaskState]]:
    if not names or not slurm.is_here():
        return {}
    try:
        return slurm.ask_queue(names)
    except SlurmError:
        return {}


def duration(seconds: float | None) -> str:
    """As hours:minutes:seconds."""
    if seconds is None:
        return "-"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
