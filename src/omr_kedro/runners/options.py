"""The settings of `SlurmRunner`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class SlurmOptions(BaseModel):
    """The section `SlurmRunner` of `runner.yml`; `--runner-params` override it."""

    model_config = ConfigDict(extra="forbid")

    where: Literal["auto", "slurm", "here"] = "auto"
    """`auto`: on Slurm where there is `sbatch`, else in this process."""
    folder: str = "data/08_reporting/slurm"
    """Specs, scripts and logs of jobs; on a file system that all nodes share, below the project's folder."""
    group_by: Literal["model", "namespace"] = "model"
    """`model`: one server start for all connected stages. `namespace`: a job array for each pipeline."""
    resources: dict[str, dict[str, Any] | None] = {}
    """By `default`, name of a model, of a pipeline, of a node; the later override the earlier. A node without a model
    that has a section has jobs of its own; null takes it away."""
    max_retries: int = Field(default=2, ge=0)
    """How often the shards of a task that was lost are submitted again."""
    poll_s: float = Field(default=10, ge=1)
    """Seconds between two looks at the queue, for all jobs together."""
    lanes: int = Field(default=64, ge=1)
    """Shards that a task has under way at the same time."""
    warn_s: int = Field(default=120, ge=2)
    """Seconds before its time limit that a job stops asking, and puts itself back into the queue."""
    server_starts: int = Field(default=2, ge=1)
    """How often one task may start its model server."""
    local_workers: int = Field(default=1, ge=1)
    """Nodes that run in this process at the same time."""
    detach: bool = False
    """Whether Ctrl-C leaves the jobs at work; the same command finds them again."""
    dry_run: bool = False
    """Write specs and scripts, show the plan, submit nothing."""
