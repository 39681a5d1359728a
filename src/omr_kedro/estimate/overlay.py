"""Some shards of a run, played through without asking anything.

Every node but those that ask runs on the sample, and what it makes lies beside the project's own tables, in a folder
that is thrown away. An asking node's requests are rendered and looked for among the calls that are paid for. Rows whose
calls are not go no further: they are withheld from all later nodes, and what would have come of them is a number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Node

from omr_kedro.datasets import ShardsDataset
from omr_kedro.lineage.project_tables import ID_COLUMNS
from omr_kedro.shards import MappedShards, Recipe, Row, Shard, Shards, TableStore, accept
from omr_kedro.shards.identity import fingerprint
from omr_kedro.shards.spools import RowIndex


class Overlay:
    """The sample's tables."""

    def __init__(
        self,
        catalog: CatalogProtocol[Any, Any],
        ids: Sequence[str],
        folder: Path,
        before: Overlay | None = None,
    ) -> None:
        """Begin with no table.

        Args:
            catalog: of the run.
            ids: the shards of the sample.
            folder: for what is made; it is thrown away.
            before: the tables of the shards from before rows were split anew.
        """
        self.ids = list(ids)
        self._before = before
        self._catalog = catalog
        self.folder = folder
        self._made: dict[str, TableStore] = {}
        self._constants: dict[str, Any] = {}
        self._withheld: dict[str, set[str]] = defaultdict(set)
        """By shard: ids of the rows that wait for a call."""

    def is_table(self, name: str) -> bool:
        """Whether a dataset is a sharded table."""
        return isinstance(self._catalog.get(name), ShardsDataset)

    def store(self, name: str) -> TableStore:
        """The project's own table."""
        dataset = self._catalog.get(name)
        assert isinstance(dataset, ShardsDataset), f"{name} is a table"  # noqa: S101
        return dataset.store

    def constant(self, name: str) -> Any:
        """A dataset that is no table, loaded once."""
        if name not in self._constants:
            self._constants[name] = self._catalog.load(name)
        return self._constants[name]

    def run(self, node: Node) -> dict[str, Recipe]:
        """Recipes of the tables that a node would make of the sample, shard by shard."""
        return {name: self.of_sample(recipe) for name, recipe in self.recipes(node).items()}

    def recipes(self, node: Node) -> dict[str, Recipe]:
        """Recipes of the tables that a node would make of the sample, in whatever shards."""
        inputs = {name: self.shards(name) if self.is_table(name) else self.constant(name) for name in node.inputs}
        made = node.run(inputs)
        self._constants |= {name: value for name, value in made.items() if not self.is_table(name)}
        return {name: recipe for name, recipe in made.items() if self.is_table(name)}

    def of_sample(self, recipe: Recipe) -> Recipe:
        """The sample's part of a table to be made, whatever share of it failed: rows that wait count as failures."""
        wanted = {shard: recipe.fingerprints[shard] for shard in self.ids}
        return replace(recipe, fingerprints=wanted, check=accept)  # type: ignore[type-var]  # all recipes are dataclasses

    def is_made(self, name: str, recipe: Recipe) -> bool:
        """Whether the project's own table holds the same already."""
        return not self.store(name).pending(recipe, settled=False)

    def save_none(self, name: str) -> None:
        """Let a table have no rows."""
        self._save_rows(name, lambda _: ())

    def save(self, name: str, recipe: Recipe) -> None:
        """Make a table, unless the project's own holds the same already."""
        own = self.store(name)
        if not self.is_made(name, recipe):
            store = TableStore(self.folder / name, own.format, own.schema, durable=False)
            store.save_part(recipe)
            self._made[name] = store
        else:
            self._made[name] = own

    def stand_in(self, node: Node) -> dict[str, bool]:
        """Take what a node last made that must see everything at once, since a sample tells it nothing; or no rows.

        Returns:
            The tables, and whether they are as the node would make them now.
        """
        tables = [name for name in node.outputs if self.is_table(name)]
        for name in tables:
            self.take(name)
        return dict.fromkeys(tables, self.is_fresh(node))

    def take(self, name: str) -> None:
        """Take the sample's rows of a table as it was last written."""
        own = self.store(name)
        self._save_rows(name, partial(_rows_of, own, set(own.written())))

    def take_own(self, name: str) -> None:
        """Take a table as it was last written, which is as the run would make it."""
        self._made[name] = self.store(name)

    def is_fresh(self, node: Node) -> bool:
        """Whether the project's own tables of a node are what it would make of all rows now."""
        inputs = [name for name in node.inputs if self.is_table(name)]
        if not all(self._made[name] is self.store(name) and self.store(name).complete for name in inputs):
            return False
        values = {name: self.store(name).shards() if name in inputs else self.constant(name) for name in node.inputs}
        made = node.run(values)
        return not any(self.store(name).pending(made[name], settled=False) for name in made if self.is_table(name))

    def count(self, name: str, recipe: Recipe) -> int:
        """Rows of a table that is split anew, made to be counted and looked at by nobody else."""
        own = self.store(name)
        store = TableStore(self.folder / name, own.format, own.schema, durable=False)
        store.save_part(recipe)
        return store.part(recipe.fingerprints).count

    def save_paid(self, name: str, rows: Callable[[str], Iterable[Row]]) -> None:
        """Make a table of completions of the calls that are paid for, shard by shard."""
        self._save_rows(name, rows)

    def _save_rows(self, name: str, rows: Callable[[str], Iterable[Row]]) -> None:
        own = self.store(name)
        store = TableStore(self.folder / name, own.format, own.schema, durable=False)
        store.save_part(MappedShards(dict.fromkeys(self.ids, "as given"), rows))
        self._made[name] = store

    def index(self, rows: Iterable[tuple[Hashable, Row]]) -> RowIndex:
        """Rows to be found by a key, which lie in the folder that is thrown away."""
        return RowIndex(rows, self.folder)

    def withhold(self, shard: str, row_ids: Collection[str]) -> None:
        """Keep rows, and what is made of them, from later nodes."""
        self._withheld[shard].update(row_ids)

    def shards(self, name: str) -> Shards:
        """A table as later nodes see it."""
        return Shards((self._visible(name, shard) for shard in self._all(name).values()), whole=False)

    def waiting(self, name: str) -> Mapping[str, int]:
        """Rows of each shard of a table that are withheld."""
        visible = self.shards(name)
        return {shard.id: shard.count - visible[shard.id].count for shard in self._all(name).values()}

    def texts(self, column: str, most: int) -> list[str]:
        """Texts of a column, withheld rows included, of the sample's first table that has one and rows in it."""
        for name, store in self._made.items():
            if column in store.schema.names:
                rows = islice(self._all(name).rows(), most)
                if texts := [row[column] for row in rows if row[column] is not None]:
                    return texts
        return self._before.texts(column, most) if self._before else []

    def _all(self, name: str) -> Shards:
        return self._made[name].part(self.ids)

    def _visible(self, name: str, shard: Shard) -> Shard:
        withheld = self._withheld[shard.id]
        if not withheld:
            return shard
        keys = [column for column in ID_COLUMNS if column in self.store(name).schema.names]
        rows = partial(_without, shard, keys, frozenset(withheld))
        count = sum(1 for _ in rows())
        if count == shard.count:
            return shard
        return Shard(shard.id, fingerprint(shard.digest, sorted(withheld)), count, rows)


def _rows_of(store: TableStore, written: Collection[str], shard: str) -> Iterator[Row]:
    return store.part([shard]).rows() if shard in written else iter(())


def _without(shard: Shard, keys: Sequence[str], withheld: frozenset[str]) -> Iterator[Row]:
    return (row for row in shard.rows() if withheld.isdisjoint([row[key] for key in keys]))
