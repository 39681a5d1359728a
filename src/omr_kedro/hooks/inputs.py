"""The datasets that a run takes from outside."""

from __future__ import annotations

from typing import Any, TypeVar

from kedro.io import CatalogProtocol
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ChatModelDataset, PythonSandboxDataset

Kind = TypeVar("Kind")


def input_datasets(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> dict[str, Any]:
    """Datasets that no node of the pipeline makes, by name and in the order in which nodes take them."""
    given = pipeline.inputs()
    taken = dict.fromkeys(name for node in pipeline.nodes for name in node.inputs)
    return {name: catalog.get(name) for name in taken if name in given}


def chat_models(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> dict[str, ChatModelDataset]:
    """Model entries that the pipeline asks, by name, the first to be asked first."""
    return _of_kind(ChatModelDataset, pipeline, catalog)


def python_sandboxes(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> dict[str, PythonSandboxDataset]:
    """Sandboxes in which the pipeline has code run, by name: not those of stages that are switched off alone."""
    switched_on = Pipeline([node for node in pipeline.nodes if not _is_switched_off(node, catalog)])
    return _of_kind(PythonSandboxDataset, switched_on, catalog)


def _is_switched_off(node: Node, catalog: CatalogProtocol[Any, Any]) -> bool:
    """Whether a section of parameters that a node takes says `enabled: false`."""
    sections = (catalog.load(name) for name in node.inputs if name.startswith("params:"))
    return not all(getattr(section, "enabled", True) for section in sections)


def _of_kind(kind: type[Kind], pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> dict[str, Kind]:
    found = input_datasets(pipeline, catalog)
    return {name: dataset for name, dataset in found.items() if isinstance(dataset, kind)}
