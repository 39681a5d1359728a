"""Small files for people: Kedro's own datasets, whose files are there whole or not at all.

Kedro's write in place, so that another run, or Kedro-Viz, may read half a file; these write aside and rename. Every run
writes them anew; a file that somebody has edited since is kept aside first.

    funnel.csv  .made/funnel.csv.crc32  .damaged/funnel.csv     a file, its checksums, and how it was found once
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset
from kedro_datasets.text import TextDataset

from omr_kedro.shards.files import keep_aside, whole_file
from omr_kedro.shards.integrity import checksum, file_checksum
from omr_kedro.shards.side_files import DAMAGED, MADE, side

logger = logging.getLogger(__name__)


class WholeCSVDataset(CSVDataset):  # type: ignore[misc]  # kedro-datasets has no types
    """A table of a few rows, as CSV; with `optional: true` one that nobody has made has no rows, and is no error."""

    def __init__(self, *, optional: bool = False, **given: Any) -> None:
        """Describe it as `pandas.CSVDataset` does; `optional` is for what only some runs make."""
        super().__init__(**given)
        self._optional = optional

    def load(self) -> pd.DataFrame:
        """The table."""
        if self._optional and not self.exists():
            return pd.DataFrame()
        found: pd.DataFrame = super().load()
        return found

    def save(self, data: pd.DataFrame) -> None:
        """Write aside, then rename."""
        text: str = data.to_csv(None, **self._save_args)
        write_whole(Path(self._filepath), text)


class WholeJSONDataset(JSONDataset):  # type: ignore[misc]  # kedro-datasets has no types
    """A value, as JSON."""

    def save(self, data: Any) -> None:
        """Write aside, then rename."""
        write_whole(Path(self._filepath), json.dumps(data, **self._save_args))


class WholeTextDataset(TextDataset):  # type: ignore[misc]  # kedro-datasets has no types
    """A text, in UTF-8."""

    def load(self) -> str:
        """The text."""
        return Path(self._filepath).read_text("utf-8")

    def save(self, data: str) -> None:
        """Write aside, then rename."""
        write_whole(Path(self._filepath), data)


def write_whole(path: Path, text: str) -> None:
    """Write a file aside, then rename; keep the one that was there if it is not as it was written.

    Its checksum is on disk before the file is, beside that of the file before it: a kill in between makes neither look
    edited.
    """
    written = side(path.parent, MADE) / f"{path.name}.crc32"
    now = file_checksum(path) if path.exists() else ""
    if now and written.exists() and now not in written.read_text(errors="replace").split():
        kept = keep_aside(path, side(path.parent, DAMAGED))
        logger.warning(
            "%s holds something else than was written. It is made anew; as it was it is kept: %s", path, kept
        )
    with whole_file(written, "w") as file:
        file.write(f"{now} {checksum(text.encode())}")
    with whole_file(path, "w") as file:
        file.write(text)
