"""A table as a folder of shards, in the catalog."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from kedro.io import AbstractDataset, DatasetError
from kedro.utils import load_obj
from kedro_datasets._typing import TablePreview

from omr_kedro.datasets.explained import explained
from omr_kedro.datasets.table import Table, shortened
from omr_kedro.shards import Recipe, Shards, TableStore
from omr_kedro.shards.formats import Format
from omr_kedro.shards.integrity import Integrity
from omr_kedro.tables.columns import texts_first

logger = logging.getLogger(__name__)


class ShardsDataset(AbstractDataset[Recipe, Table]):
    """Loads a `Table`, no row of it in memory; saves a `Recipe`: only the shards whose fingerprint is new are made.

    A save that was killed goes on where it stopped. The dataset exists when every shard of the last save is there.

    ```yaml
    extracted_problems:
      type: omr_kedro.datasets.ShardsDataset
      filepath: data/02_intermediate/extracted_problems
      schema: omr_kedro.tables.PROBLEMS
      format: jsonl          # or parquet
      integrity: once        # or always, never: how often files are compared with what was written
    ```
    """

    def __init__(
        self,
        *,
        filepath: str,
        schema: str,
        format: Format = "jsonl",
        integrity: Integrity = "once",
        optional: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the table.

        Args:
            filepath: folder of the table.
            schema: dotted path of a pyarrow schema, which every row is checked against.
            format: `jsonl` for text that people want to `head`, `parquet` for what is read by column.
            integrity: `once` in a process (before a shard counts as made, or is first read), `always` when it is read,
                or `never` (its size is looked at nevertheless).
            optional: whether a table that nobody ever began to make is one without rows, and no error: for what a run
                may do without.
            metadata: passed on to Kedro-Viz and other plugins.

        Raises:
            DatasetError: `integrity` is something else.
        """
        self.metadata = metadata
        if integrity not in get_args(Integrity):
            raise DatasetError(f"integrity is {' or '.join(get_args(Integrity))} (globals.yml), not {integrity!r}")
        self._filepath = Path(filepath)
        self._optional = optional
        self._store = TableStore(self._filepath, format, load_obj(schema), integrity=integrity)
        self.made: int | None = None
        """Shards that the last save of this process has made; None before one."""

    @property
    def store(self) -> TableStore:
        """The table on disk, for those who look at it from outside a run."""
        return self._store

    def load(self) -> Table:
        """The finished table."""
        if self._optional and not self._store.begun_at_all:
            logger.info("%s: was never made, and counts as empty", self._filepath.name)
            return Table(self._filepath.name, self._store.schema, Shards([]))
        return Table(self._filepath.name, self._store.schema, self._store.shards())

    def save(self, data: Recipe) -> None:
        """Make and write what is missing."""
        with explained():
            self.made = self._store.save(data)
        if self.made:
            logger.info("%s: made %d of %d shards", self._filepath.name, self.made, len(data.fingerprints))
        else:
            logger.info("%s: up to date", self._filepath.name)

    def load_part(self, ids: Iterable[str]) -> Shards:
        """Some shards of the table, whether or not the others are there; see `TableStore.part`."""
        return self._store.part(ids)

    def save_part(self, data: Recipe) -> int:
        """Make and write what is missing of some shards; see `TableStore.save_part`."""
        return self._store.save_part(data)

    def pending(self, data: Recipe, *, settled: bool = True) -> list[str]:
        """The shards that saving would make; see `TableStore.pending`."""
        return self._store.pending(data, settled=settled)

    def sizes(self) -> dict[str, int]:
        """Rows, columns and bytes (`file_size`) of what is written, by the names that Kedro-Viz has for them."""
        store = self._store
        return {"rows": store.rows_written, "columns": len(store.schema.names), "file_size": store.bytes_written}

    def _exists(self) -> bool:
        return self._store.complete

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "format": self._store.format}

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first rows, texts first and cut; reads one shard."""
        rows = self._store.head(nrows)
        columns = texts_first(self._store.schema.names)
        data = [[shortened(row.get(name)) for name in columns] for row in rows]
        return TablePreview({"index": list(range(len(rows))), "columns": columns, "data": data})
