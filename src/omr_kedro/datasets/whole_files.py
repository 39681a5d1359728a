"""Small files for people: Kedro's own datasets, whose files are there whole or not at all.

Kedro's write in place, so that another run, or Kedro-Viz, may read half a file; these write aside and rename.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset

from omr_kedro.shards.files import whole_file


class WholeCSVDataset(CSVDataset):  # type: ignore[misc]  # kedro-datasets has no types
    """A table of a few rows, as CSV."""

    def save(self, data: pd.DataFrame) -> None:
        """Write aside, then rename."""
        with whole_file(Path(self._filepath), "w") as file:
            data.to_csv(file, **self._save_args)


class WholeJSONDataset(JSONDataset):  # type: ignore[misc]  # kedro-datasets has no types
    """A value, as JSON."""

    def save(self, data: Any) -> None:
        """Write aside, then rename."""
        with whole_file(Path(self._filepath), "w") as file:
            json.dump(data, file, **self._save_args)
