"""Small tables for people, as CSV."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from kedro_datasets.pandas import CSVDataset

from omr_kedro.shards.files import whole_file


class WholeCSVDataset(CSVDataset):  # type: ignore[misc]  # kedro-datasets has no types
    """Kedro's CSV dataset, whose file is there whole or not at all: another run may read it while this one writes."""

    def save(self, data: pd.DataFrame) -> None:
        """Write aside, then rename."""
        with whole_file(Path(self._filepath), "w") as file:
            data.to_csv(file, **self._save_args)
