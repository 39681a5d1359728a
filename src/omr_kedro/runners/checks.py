"""Checks of the place where nodes are to run, before any work: can it see the data, can it serve the model."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline

from omr_kedro.datasets import ChatModelDataset, ShardsDataset
from omr_kedro.runners.errors import NoPlaceToRunError, UnsharedDatasetError
from omr_kedro.runners.groups import GPU_TAG, Group


def check_shared(groups: Sequence[Group], catalog: DataCatalog) -> None:
    """Refuse groups that exchange with this process what only lives in memory.

    Raises:
        UnsharedDatasetError: lists all of them.
    """
    wrong = [
        f"  {node.name}: {kind} '{name}' {why}"
        for group in groups
        for node in group.nodes
        for kind, names in (("input", node.inputs), ("output", node.outputs))
        for name in names
        if (why := _unshared(name, kind, catalog))
    ]
    if wrong:
        raise UnsharedDatasetError(
            "A Slurm job cannot see what lives in this process, and works on sharded tables:\n"
            + "\n".join(dict.fromkeys(wrong))
            + "\nDeclare them in conf/base/catalog*.yml (tables as omr_kedro.datasets.ShardsDataset), or take the tags "
            f"'{GPU_TAG}' and 'by_shard' from these nodes. Nothing was submitted."
        )


def _unshared(name: str, kind: str, catalog: DataCatalog) -> str:
    if name == "parameters" or name.startswith("params:"):
        return ""  # a job reads them from the configuration, as this process did
    dataset = catalog.get(name)
    if dataset is None or isinstance(dataset, MemoryDataset):
        return "lives in memory"
    if kind == "output" and not isinstance(dataset, ShardsDataset):
        return f"is a {type(dataset).__name__}"
    return ""


def check_here(pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Refuse to serve models in this process where that is not possible.

    Raises:
        EndpointError: a server's command is not installed.
        NoPlaceToRunError: a server wants a GPU, and there is none.
    """
    models = {name: catalog.get(name) for node in pipeline.nodes for name in node.inputs}
    for model in models.values():
        if isinstance(model, ChatModelDataset):
            check_place(model)


def check_place(model: ChatModelDataset) -> None:
    """Refuse to serve a model in this process where that is not possible. Raises as `check_here` does."""
    model.check_installed()
    if model.needs_gpu and not sees_gpu():
        raise NoPlaceToRunError(
            "There is no Slurm here (no `sbatch`), and no GPU to serve the model on. On a cluster, run this "
            "on a login node. Without one, use a hosted model (kedro run --env demo), the rule-based stand-in "
            "(kedro run --env offline), or any endpoint of yours: --params=endpoint=http://host:8000/v1"
        )


def sees_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU, as far as its drivers show."""
    return shutil.which("nvidia-smi") is not None or any(Path("/dev").glob("nvidia[0-9]*"))
