"""Tables whose shards jobs have made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kedro.io import AbstractDataset, DataCatalog

from omr_kedro.datasets import ShardsDataset
from omr_kedro.datasets.explained import explained
from omr_kedro.runners.groups import Group
from omr_kedro.shards import Recipe, Shards


class JobTable(AbstractDataset[Recipe, Shards]):
    """A table whose shards are never made here: saving checks that jobs have made all, and declares it finished."""

    def __init__(self, table: ShardsDataset) -> None:
        """Stand for a table.

        Args:
            table: where the shards are.
        """
        self._table = table

    def load(self) -> Shards:
        """The finished table."""
        return self._table.load()

    def save(self, data: Recipe) -> None:
        """Finish the table; see `TableStore.conclude`."""
        with explained():
            self._table.store.conclude(data)

    def _exists(self) -> bool:
        return self._table.exists()

    def _describe(self) -> dict[str, Any]:
        return self._table._describe()


def with_job_tables(catalog: DataCatalog, groups: Sequence[Group]) -> DataCatalog:
    """The datasets of some groups, in which what they make is a `JobTable`."""
    datasets = {name: catalog[name] for group in groups for name in group.inputs}
    for name in (name for group in groups for name in group.outputs):
        table = catalog[name]
        assert isinstance(table, ShardsDataset), "checked with the groups"  # noqa: S101
        datasets[name] = JobTable(table)
    return DataCatalog(datasets)
