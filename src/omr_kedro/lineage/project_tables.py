"""The tables of a project, as the funnel's stages and the catalog name them; no table is named here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
from kedro.io import CatalogProtocol
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ShardsDataset
from omr_kedro.pipelines.report.nodes import STAGES, Stage, dropped_table
from omr_kedro.shards import Row, TableStore
from omr_kedro.tables import COMPLETIONS

_KEYS = ("row_id", "problem_id", "thread_id")


def key_of(schema: pa.Schema) -> str:
    """The column that says what a row is about; empty where there is none."""
    return next((name for name in _KEYS if name in schema.names), "")


def is_completions(store: TableStore) -> bool:
    """Whether a table holds model calls."""
    return bool(store.schema.equals(COMPLETIONS))


@dataclass(frozen=True)
class StageTables:
    """A stage and every table that is made on the way to its outcome."""

    stage: Stage
    names: tuple[str, ...]
    """In the order in which they are made; those that an earlier stage has made are not among them."""

    @property
    def dropped(self) -> str:
        """The table of rows that the stage did not keep."""
        return dropped_table(self.stage)

    @property
    def outcome(self) -> tuple[str, ...]:
        """The tables that say what became of the stage's rows."""
        return (*self.stage.kept, self.dropped)


class ProjectTables:
    """The sharded tables of a pipeline."""

    def __init__(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        self.pipeline = pipeline
        self.catalog = catalog
        datasets = {name: catalog.get(name) for name in pipeline.datasets() if not name.startswith("param")}
        self.stores = {name: item.store for name, item in datasets.items() if isinstance(item, ShardsDataset)}

    @cached_property
    def makers(self) -> dict[str, Node]:
        """The node that makes each table."""
        return {name: node for node in self.pipeline.nodes for name in node.outputs if name in self.stores}

    @cached_property
    def stages(self) -> list[StageTables]:
        """The stages that this pipeline has, each with the tables that belong to it."""
        taken = set[str]()
        found = []
        for stage in STAGES:
            ends = [name for name in (*stage.kept, dropped_table(stage)) if name in self.makers]
            if not ends:
                continue
            nodes = self.pipeline.to_outputs(*ends).nodes
            names = [name for node in nodes for name in node.outputs if name in self.stores and name not in taken]
            taken.update(names)
            found.append(StageTables(stage, tuple(names)))
        return found

    @property
    def others(self) -> list[str]:
        """The tables that no stage of the funnel needs."""
        taken = {name for stage in self.stages for name in stage.names}
        return [name for name in self.makers if name not in taken]

    def rows(self, name: str, shard: str) -> Iterator[Row]:
        """The rows of one shard of a table as it was last written; none when it was not."""
        try:
            yield from self.stores[name].part([shard]).rows()
        except FileNotFoundError:
            return

    def unfinished(self, names: Iterable[str]) -> list[str]:
        """Those of the tables that are not finished."""
        return [name for name in names if name in self.stores and not self.stores[name].complete]
