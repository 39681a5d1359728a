"""A config of the published dataset, in the catalog."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, get_args

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from omr_kedro.datasets.explained import explained
from omr_kedro.datasets.table import shortened
from omr_kedro.publishing.files import Sizes, fault_of, publish, read_manifest
from omr_kedro.publishing.publication import Publication, Published
from omr_kedro.shards.integrity import Integrity
from omr_kedro.tables.columns import texts_first

logger = logging.getLogger(__name__)


class PublishedFilesDataset(AbstractDataset[Publication, Published]):
    """Saves the rows of a config as Parquet files of a dataset repository; loads what was published.

    Files are written only where the rows may have changed, and are all there or none of them. A config without rows
    has no files: its former ones go.

    ```yaml
    published_cot:
      type: omr_kedro.datasets.PublishedFilesDataset
      filepath: data/07_model_output/base/dataset
      config: cot
    ```
    """

    def __init__(
        self,
        *,
        filepath: str,
        config: str,
        group_bytes: int = Sizes.group,
        file_bytes: int = Sizes.file,
        integrity: Integrity = "once",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the config.

        Args:
            filepath: folder of the dataset, shared by its configs.
            config: name of the config.
            group_bytes: of a row group in memory.
            file_bytes: of a file, about.
            integrity: `never` compares files by their sizes before they count as made, all else by their digests.
            metadata: passed on to Kedro-Viz and other plugins.

        Raises:
            DatasetError: `integrity` is something else.
        """
        if integrity not in get_args(Integrity):
            raise DatasetError(f"integrity is {' or '.join(get_args(Integrity))} (globals.yml), not {integrity!r}")
        self.metadata = metadata
        self._filepath = Path(filepath)
        self._config = config
        self._sizes = Sizes(group_bytes, file_bytes)
        self._whole = integrity != "never"

    def load(self) -> Published:
        """The config as it was published.

        Raises:
            DatasetError: nothing was, or not to its end.
        """
        if manifest := read_manifest(self._filepath, self._config):
            return Published(self._filepath, manifest)
        raise DatasetError(
            f"The config {self._config} of {self._filepath} is not there, or was not finished. Make it first: "
            "kedro run --pipelines publish, with the same --env and --params."
        )

    def save(self, data: Publication) -> None:
        """Write the config, unless it is there already as it would be written."""
        there = read_manifest(self._filepath, self._config)
        if there and there.fingerprint == data.fingerprint:
            fault = fault_of(self._filepath, there, whole=self._whole)
            if not fault:
                logger.info("config %s: up to date", self._config)
                return
            logger.warning("%s is not as it was published: the config is written anew.", self._filepath / fault)
        with explained():
            manifest = publish(self._filepath, self._config, data, self._sizes).manifest
        logger.info("config %s: %d rows in %d files", self._config, manifest.rows, len(manifest.files))

    def sizes(self) -> dict[str, int]:
        """Rows, columns and bytes (`file_size`), by the names that Kedro-Viz has for them."""
        manifest = read_manifest(self._filepath, self._config)
        if manifest is None:
            return {}
        return {"rows": manifest.rows, "columns": len(manifest.features), "file_size": manifest.bytes}

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first rows, texts first and cut."""
        batches = self.load().batches() if self._exists() else iter(())
        batch = next(batches, None)
        rows = [] if batch is None else batch.slice(0, nrows).to_pylist()
        columns = texts_first(batch.schema.names) if batch is not None else []
        data = [[shortened(row[name]) for name in columns] for row in rows]
        return TablePreview({"index": list(range(len(rows))), "columns": columns, "data": data})

    def _exists(self) -> bool:
        return read_manifest(self._filepath, self._config) is not None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "config": self._config}
