"""The node that makes the first tables of a run, and so decides in how many shards all of them are split."""

from __future__ import annotations

from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ShardsDataset
from omr_kedro.shards import Recipe


def first_split(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> tuple[Node, dict[str, Recipe]] | None:
    """The node, and the recipes of its tables; None where the pipeline begins with tables that others make.

    Makes nothing, but reads the records that the tables will be made of.
    """
    for node in pipeline.nodes:
        if _are_tables(node.outputs, catalog) and not _are_tables(node.inputs, catalog):
            return node, node.run({name: catalog.load(name) for name in node.inputs})
    return None


def _are_tables(names: list[str], catalog: CatalogProtocol[Any, Any]) -> bool:
    return any(isinstance(catalog.get(name), ShardsDataset) for name in names)
