"""`kedro check`: whether a run would find what it needs. Makes one call of one token for each remote model."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from omr_kedro.datasets import ChatModelDataset
from omr_kedro.hooks.inputs import chat_models, python_sandboxes
from omr_kedro.llm.engine import check_endpoint
from omr_kedro.runners import slurm
from omr_kedro.runners.checks import check_place, sees_gpu
from omr_kedro.sandbox import SandboxError, probe
from omr_kedro.shards import OmrError
from omr_kedro.shards.printable import printable_line

_MOST_CHARS = 300


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    told: str
    good: bool | None = None
    """Whether a run may begin as far as this goes; None for a fact that decides nothing by itself."""


def check(
    pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], credentials: Mapping[str, Any], *, served_here: bool
) -> list[Finding]:
    """Look at the models of a pipeline, all at the same time, and at this machine.

    Args:
        pipeline: whose models are looked at.
        catalog: of its environment.
        credentials: of its environment; names of variables are read, and whether they are set.
        served_here: whether local servers would start in this process.
    """
    models = chat_models(pipeline, catalog)
    with ThreadPoolExecutor(max(1, len(models))) as pool:
        findings = list(pool.map(lambda alike: _alike(alike, served_here=served_here), _groups(models)))
    sandboxes = python_sandboxes(pipeline, catalog).values()
    of_models = [finding for group in findings for finding in group]
    return [*of_models, _sandbox([sandbox.levels for sandbox in sandboxes], served_here), *_machine(credentials)]


def _groups(models: Mapping[str, ChatModelDataset]) -> list[dict[str, ChatModelDataset]]:
    """The models, together with those that are asked in the same way."""
    groups: dict[tuple[object, ...], dict[str, ChatModelDataset]] = {}
    for name, model in models.items():
        groups.setdefault(model.load().entry.asked_as, {})[name] = model
    return list(groups.values())


def _alike(models: Mapping[str, ChatModelDataset], *, served_here: bool) -> list[Finding]:
    """A finding on the first of models that are asked in the same way, and a word on each of the others."""
    first, *others = models
    found = _model(first, models[first], served_here=served_here)
    return [found, *(Finding(name, f"the same model as {first}", found.good) for name in others)]


def _model(name: str, model: ChatModelDataset, *, served_here: bool) -> Finding:
    session = model.load().session
    try:
        model.check()
        if not model.remote:
            return Finding(name, _local(model, served_here=served_here), good=True)
        reached = asyncio.run(check_endpoint(session))
    except OmrError as error:
        return Finding(name, str(error), good=False)
    return Finding(name, f"{session.entry.place} {reached}", good=not reached.doubt)


def _local(model: ChatModelDataset, *, served_here: bool) -> str:
    """Words on a server that a run starts itself.

    Raises:
        OmrError: it cannot start here, and would have to.
    """
    if served_here:
        check_place(model)
    entry = model.load().entry
    assert entry.server, "what is not remote has a server"  # noqa: S101
    where = "here" if served_here else "in jobs of Slurm"
    there = "is installed" if entry.server.installed else "is not installed on this machine"
    return f"{entry.name}: a run starts its server {where}; `{entry.server.command[0]}` {there}"


def _sandbox(wanted: Collection[tuple[str, ...]], served_here: bool) -> Finding:
    """The isolation that code of models has on this machine.

    Args:
        wanted: of each sandbox of the pipeline: the levels that it would take.
        served_here: whether the pipeline runs here, and not in jobs on other machines.
    """
    try:
        machine = probe()
    except SandboxError as error:
        return Finding(
            "Sandbox", printable_line(str(error), _MOST_CHARS), good=False if wanted and served_here else None
        )
    if not wanted:
        return Finding("Sandbox", machine.told)
    if not served_here:
        return Finding("Sandbox", f"{machine.told}, here; try `python -m omr_kedro.sandbox` in a job of Slurm")
    reports = sorted((machine.among(levels) for levels in wanted), key=lambda report: report.level is not None)
    return Finding("Sandbox", reports[0].told, good=reports[0].level is not None)


def _machine(credentials: Mapping[str, Any]) -> Iterator[Finding]:
    yield Finding("Slurm", "found (`sbatch`)" if slurm.is_here() else "not found (no `sbatch`)")
    yield Finding("vLLM", "installed" if shutil.which("vllm") else "not installed here")
    yield Finding("GPU", "found" if sees_gpu() else "not found")
    entries = (entry for hosts in credentials.values() if isinstance(hosts, Mapping) for entry in hosts.values())
    variables = (entry.get("variable") for entry in entries if isinstance(entry, Mapping))
    for variable in sorted({name for name in variables if isinstance(name, str)}):
        yield Finding(variable, "set" if os.environ.get(variable) else "not set")
