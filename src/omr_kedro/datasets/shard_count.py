"""The number of shards of tables that exist, in the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from omr_kedro.shards.store import shard_count


class ShardCountDataset(AbstractDataset[NoReturn, int]):
    """Loads the number of shards that a workspace has been split in; 0 where none of its tables was begun.

    ```yaml
    shards_of_workspace:
      type: omr_kedro.datasets.ShardCountDataset
      filepaths: [data/02_intermediate/threads, data/07_model_output/extract_problems_completions]
    ```
    """

    def __init__(self, *, filepaths: list[str], metadata: dict[str, Any] | None = None) -> None:
        """Describe the tables.

        Args:
            filepaths: folders of tables; the first that was begun tells.
            metadata: passed on to Kedro-Viz and other plugins.
        """
        self.metadata = metadata
        self._folders = [Path(path) for path in filepaths]

    def load(self) -> int:
        """The number, found in the names of files."""
        return next(filter(None, map(shard_count, self._folders)), 0)

    def save(self, data: NoReturn) -> None:
        """Refuse: saving tables makes it."""
        raise DatasetError("the number of shards is that of the tables, and is never written")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepaths": [str(folder) for folder in self._folders]}
