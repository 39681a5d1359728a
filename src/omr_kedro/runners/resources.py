"""Resources that a job asks Slurm for, as `runner.yml` says it."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from omr_kedro.runners.errors import RunnerConfigError

logger = logging.getLogger(__name__)

DEFAULT = "default"


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value  # YAML reads 90 as a number


def _checked_time(value: str) -> str:
    if not re.fullmatch(r"(\d+-)?\d+(:\d{1,2}){0,2}|\d+", value):
        raise ValueError("write a time limit as Slurm does: minutes, HH:MM:SS or D-HH:MM:SS")
    return value


def _checked_line(value: str) -> str:
    if "\n" in value:
        raise ValueError("one line each")
    return value


Line = Annotated[str, AfterValidator(_checked_line)]


class Resources(BaseModel):
    """One job array: what each of its tasks gets. Names and meanings are those of `sbatch`."""

    model_config = ConfigDict(extra="forbid")

    partition: Line | None = None
    account: Line | None = None
    qos: Line | None = None
    gpus_per_node: int = Field(default=0, ge=0)
    """Where nothing is given: as many as the server of the model spreads over, none without a server."""
    nodes: int = Field(default=1, ge=1)
    """Of one task. More than one: the model is spread over them."""
    cpus_per_task: int | None = Field(default=None, ge=1)
    mem: Annotated[Line | None, BeforeValidator(_as_text)] = None
    time: Annotated[str, BeforeValidator(_as_text), AfterValidator(_checked_time)] = "04:00:00"
    """Limit of one life of a task; what is not done by then goes on in the next one."""
    tasks: int = Field(default=8, ge=1)
    """Width of the array: model servers at work at the same time, if Slurm has room for them."""
    max_running: int | None = Field(default=None, ge=1)
    """Tasks of the array that may run at the same time."""
    directives: list[Line] = []
    """More options of `sbatch`, as `--constraint=h100`."""
    setup: list[Line] = []
    """Shell lines before the job: `module load cuda`, `source …/activate`, `export HF_HOME=…`."""
    container_image: Line | None = None
    """For sites with pyxis: the job runs in this image, which must hold omr_kedro and the model server."""
    container_mounts: Line | None = None
    """As pyxis takes it; by default the project's folder."""
    python: Line | None = None
    """Interpreter of the job; by default this one, in a container the one on its PATH."""


def resolve(sections: Mapping[str, Mapping[str, Any] | None], names: Iterable[str]) -> Resources:
    """The resources of something that goes by several names, from the general to the particular.

    Args:
        sections: settings by name; `default` holds for all.
        names: the later ones override the earlier ones.

    Raises:
        RunnerConfigError: a setting is unknown or has no sense.
    """
    chosen = [name for name in (DEFAULT, *names) if name in sections]
    merged = {key: value for name in chosen for key, value in (sections[name] or {}).items()}
    try:
        return Resources.model_validate(merged)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise RunnerConfigError(
            f"resources in runner.yml ({', then '.join(chosen) or DEFAULT}): {wrong}. "
            f"Known settings: {', '.join(Resources.model_fields)}."
        ) from None


def check_gpus(model: str, wanted: int, resources: Resources) -> None:
    """Refuse GPUs that a server lacks; warn of those that it leaves idle.

    Args:
        model: the model's name in the catalog.
        wanted: GPUs that its server spreads over.
        resources: of the job that starts the server.

    Raises:
        RunnerConfigError: says where to change either number.
    """
    there = resources.nodes * resources.gpus_per_node
    if wanted == there:
        return
    message = (
        f"{model}: its server spreads over {wanted} GPUs (tensor x pipeline x data parallel size in its catalog "
        f"entry), and a job has {there} (nodes x gpus_per_node in runner.yml)."
    )
    if wanted > there:
        raise RunnerConfigError(f"{message} Set one of them to fit the other.")
    logger.warning("%s %d GPUs of each job will stand idle.", message, there - wanted)


def check_names(sections: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse sections that are for nothing.

    Raises:
        RunnerConfigError: names them.
    """
    if unknown := sorted(set(sections) - {DEFAULT, *known}):
        raise RunnerConfigError(
            f"resources in runner.yml: there is no node, pipeline or model {', '.join(unknown)}. "
            f"Known: {', '.join(sorted(known))}."
        )
