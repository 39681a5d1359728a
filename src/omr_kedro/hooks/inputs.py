"""The datasets that a run takes from outside."""

from __future__ import annotations

from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from omr_kedro.datasets import ChatModelDataset


def input_datasets(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> dict[str, Any]:
    """Datasets that no node of the pipeline makes, by name and in its order."""
    return {name: catalog.get(name) for name in sorted(pipeline.inputs())}


def chat_models(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> dict[str, ChatModelDataset]:
    """Model entries that the pipeline asks, by name."""
    found = input_datasets(pipeline, catalog)
    return {name: dataset for name, dataset in found.items() if isinstance(dataset, ChatModelDataset)}
