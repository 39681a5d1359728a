"""The tables of a project, as its pipelines' stages and the catalog name them; no table is named here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
from kedro.io import CatalogProtocol
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ShardCountDataset, ShardsDataset
from omr_kedro.pipelines.stages import Stage, stages_of
from omr_kedro.shards import Row, TableStore, shard_of
from omr_kedro.shards.store import shard_count
from omr_kedro.tables import COMPLETIONS

ID_COLUMNS = ("row_id", "group_id", "solution_id", "answer_id", "problem_id", "thread_id")
"""Columns that hold ids, from what is made last to what all comes of."""


PARTS = ("group_id", "solution_id", "answer_id")
"""Those of parts of problems, which keep their ids from stage to stage."""


def key_of(schema: pa.Schema) -> str:
    """The column that says what a row is about; empty where there is none."""
    return next((name for name in ID_COLUMNS if name in schema.names), "")


def splits(node: Node, catalog: CatalogProtocol[Any, Any]) -> bool:
    """Whether a node deals its rows to shards by their ids: it is told how many shards there are."""
    return any(isinstance(catalog.get(name), ShardCountDataset) for name in node.inputs)


def is_completions(store: TableStore) -> bool:
    """Whether a table holds model calls."""
    return bool(store.schema.equals(COMPLETIONS))


@dataclass(frozen=True)
class StageTables:
    """A stage and every table that is made on the way to its outcome."""

    stage: Stage
    given: tuple[str, ...]
    """Tables of the rows that the stage was given; none where these are records of files."""
    names: tuple[str, ...]
    """In the order in which they are made; those that an earlier stage has made are not among them."""

    @property
    def outcome(self) -> tuple[str, ...]:
        """The tables that say what became of the stage's rows."""
        return (*self.stage.kept, self.stage.dropped)


class ProjectTables:
    """The sharded tables of pipelines, whose order is that of the stages."""

    def __init__(self, pipelines: Iterable[Pipeline], catalog: CatalogProtocol[Any, Any]) -> None:
        self._pipelines = list(pipelines)
        self._whole = sum(self._pipelines, start=Pipeline([]))
        self.catalog = catalog
        datasets = {name: catalog.get(name) for name in self._whole.datasets() if not name.startswith("param")}
        self.stores = {name: item.store for name, item in datasets.items() if isinstance(item, ShardsDataset)}

    @cached_property
    def makers(self) -> dict[str, Node]:
        """The node that makes each table."""
        return {name: node for node in self._whole.nodes for name in node.outputs if name in self.stores}

    @cached_property
    def stages(self) -> list[StageTables]:
        """The stages of the pipelines, each with the tables that belong to it."""
        taken = set[str]()
        found = []
        for stage in stages_of(self._pipelines):
            nodes = self._whole.to_outputs(*stage.kept, stage.dropped).nodes
            names = [name for node in nodes for name in node.outputs if name in self.stores and name not in taken]
            taken.update(names)
            given = tuple(name for name in stage.given if name in self.stores)
            found.append(StageTables(stage, given, tuple(names)))
        return found

    @cached_property
    def shard_keys(self) -> dict[str, str]:
        """The column that the shard of a row follows from, by table; tables that are not split by an id have none.

        It is the key of what a node makes that splits rows, and holds for all that is made of these, shard by shard.
        """
        keys: dict[str, str] = {}
        for node in self._whole.nodes:
            made = [name for name in node.outputs if name in self.stores]
            if splits(node, self.catalog):
                own = (key_of(self.stores[name].schema) for name in made)
                key = next((key for key in own if key != "row_id"), "")
            else:
                key = next((keys[name] for name in node.inputs if name in keys), "")
            keys |= dict.fromkeys(made, key) if key else {}
        return keys

    def shards_of(self, name: str, ids: Mapping[str, Iterable[str]]) -> list[str]:
        """The shards of a table that hold what belongs to rows with these ids.

        Args:
            name: the table.
            ids: by column, as `thread_id`; of those of other columns nothing is known.
        """
        wanted = ids.get(self.shard_keys.get(name, ""), ())
        count = shard_count(self.stores[name].folder)
        return sorted({shard_of(one, count) for one in wanted}) if count else []

    @property
    def others(self) -> list[str]:
        """The tables that no stage needs."""
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
