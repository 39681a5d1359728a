"""A job array on disk: what it is to do, and what became of it.

<folder>/<group>-<token>/spec.json            what to do; `python -m omr_kedro.runners.job spec.json` does it
                         job.sbatch           how Slurm is asked to
                         job_id               what Slurm called it
                         task-0.out  .err     what task 0 said
                         task-0.progress.json how far it is, every few seconds
                         task-0.result.json   how it ended, if it could say so
                         task-0.server-0.json for tasks of several nodes: the server that all of them start
                         ended                there once nobody waits for it any more
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from omr_kedro.runners.resources import Resources
from omr_kedro.sandbox import Usage
from omr_kedro.shards.files import whole_file

_TAIL_LINES = 15

News = TypeVar("News", bound=BaseModel)


@dataclass(frozen=True)
class SessionSpec:
    """Everything that a job needs to open the project as this session did."""

    project_path: str
    env: str | None
    conf_source: str | None
    runtime_params: dict[str, Any] = field(default_factory=dict)
    pipeline_names: list[str] = field(default_factory=list)


class JobSpec(BaseModel):
    """Everything that a job needs to know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str
    token: str
    attempt: int = 0
    project_path: str
    env: str | None
    conf_source: str | None
    runtime_params: dict[str, Any]
    pipeline_names: list[str]
    run_id: str
    nodes: list[str]
    models: dict[str, str] = {}
    """Models that the nodes ask: names in the catalog, and those that the endpoints know."""
    shares: list[list[str]]
    """Shards of each task of the array."""
    settings: dict[str, str]
    """Digests of code, prompts and parameters when the job was submitted; the job refuses to work with others."""
    resources: Resources
    lanes: int
    """Shards that are under way at the same time."""
    warn_s: int
    server_starts: int
    """How often a task may start its model server."""

    @property
    def name(self) -> str:
        """The job's name in Slurm; no other job has it."""
        return f"omr-{self.group}-{self.token}"


class Result(BaseModel):
    """How a task ended, by its own account."""

    state: Literal["done", "failed", "unfinished", "spent"]
    """`unfinished` goes on in another life of the task; `spent` ended since the run may spend no more."""
    error: str = ""
    retry: bool = False
    """Whether the same may go well another time."""


class Progress(BaseModel):
    """How far a task is. What was paid, run, written and spent counts all lives of the task, the rest this one."""

    node: str = ""
    lives: int = 0
    """How often the task was started."""
    unproductive: int = 0
    """How many lives in a row the time limit has ended before anything was finished."""
    shards: int = 0
    shards_done: int = 0
    steps: int = 0
    """One for each shard and node."""
    steps_done: int = 0
    rows: int = 0
    """Written to all tables of the group."""
    reused: int = 0
    """Calls that earlier runs have paid for."""
    paid: int = 0
    failed: int = 0
    in_flight: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0
    """In the currency of the prices; 0 where they are not known."""
    code_run: Usage = Usage()
    """Use of the sandbox."""
    seconds: float = 0
    """At work."""
    first_call_s: float | None = None
    """When the first call of this life was sent, counted from its begin."""
    server_s: float | None = None
    """How long the model server took to start."""


class Submission:
    """A job array and its folder."""

    def __init__(self, folder: Path, spec: JobSpec) -> None:
        self.folder = folder
        self.spec = spec

    @classmethod
    def create(cls, root: Path, spec: JobSpec, script: str) -> Submission:
        """Write spec and script."""
        submission = cls(root / f"{spec.group}-{spec.token}", spec)
        submission.folder.mkdir(parents=True, mode=0o700)
        with whole_file(submission.spec_path, "w") as file:
            file.write(spec.model_dump_json(indent=2))
        with whole_file(submission.script_path, "w") as file:
            file.write(script)
        return submission

    @classmethod
    def read(cls, folder: Path) -> Submission:
        """Read one back."""
        return cls(folder, JobSpec.model_validate_json((folder / "spec.json").read_bytes()))

    @classmethod
    def submitted_to(cls, root: Path) -> Iterator[Submission]:
        """Those in a folder that Slurm was asked to run, the oldest first."""
        for spec in sorted(root.glob("*/spec.json"), key=lambda path: path.stat().st_mtime):
            try:
                if (spec.parent / "job_id").exists():
                    yield cls.read(spec.parent)
            except (FileNotFoundError, ValidationError):
                continue  # written by another version of this program, whose jobs this one cannot speak for

    @classmethod
    def unended(cls, root: Path) -> Iterator[Submission]:
        """Those in a folder that somebody may still wait for, the oldest first."""
        return (submission for submission in cls.submitted_to(root) if not submission.is_ended)

    @property
    def spec_path(self) -> Path:
        """The spec."""
        return self.folder / "spec.json"

    @property
    def script_path(self) -> Path:
        """The batch script."""
        return self.folder / "job.sbatch"

    @property
    def job_id(self) -> str:
        """Slurm's number of the array; empty before it is known."""
        path = self.folder / "job_id"
        return path.read_text().strip() if path.exists() else ""

    def submitting(self) -> None:
        """Note that Slurm is about to be asked, so that a job whose number never arrives is looked for."""
        (self.folder / "job_id").touch()

    def submitted(self, job_id: str) -> None:
        """Note Slurm's number."""
        with whole_file(self.folder / "job_id", "w") as file:
            file.write(job_id)

    @property
    def is_ended(self) -> bool:
        """Whether nobody waits for it any more."""
        return (self.folder / "ended").exists()

    def ended(self) -> None:
        """Note that nobody waits for it any more."""
        (self.folder / "ended").touch()

    @property
    def tasks(self) -> range:
        """Numbers of the array's tasks."""
        return range(len(self.spec.shares))

    def team_path(self, task: int, life: int) -> Path:
        """Where the first node of a task tells the others which server to start."""
        return self.folder / f"task-{task}.server-{life}.json"

    def result_path(self, task: int) -> Path:
        """Where a task says how it ended."""
        return self.folder / f"task-{task}.result.json"

    def progress_path(self, task: int) -> Path:
        """Where a task says how far it is."""
        return self.folder / f"task-{task}.progress.json"

    def result(self, task: int) -> Result | None:
        """How a task says it ended; None when it has not."""
        return _read(Result, self.result_path(task))

    def progress(self, task: int) -> Progress | None:
        """How far a task is; None before it said so."""
        return _read(Progress, self.progress_path(task))

    def write(self, path: Path, news: Result | Progress) -> None:
        """Write a result or progress."""
        with whole_file(path, "w") as file:
            file.write(news.model_dump_json())

    def tails(self, task: int) -> str:
        """The ends of both logs of a task: a killed one has said its last words in either."""
        return "\n".join(_tail(self.folder / f"task-{task}.{kind}") for kind in ("out", "err"))


def new_token() -> str:
    """Something that no other submission is called."""
    return secrets.token_hex(4)


def _read(kind: type[News], path: Path) -> News | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _tail(path: Path) -> str:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:]
    except FileNotFoundError:
        return f"{path}: was never written"
    return "\n  ".join([f"end of {path}:", *lines]) if lines else f"{path}: is empty"
