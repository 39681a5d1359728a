"""A plot as a small file that is there whole or not at all; in a file of its own, since Plotly takes long to import."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import plotly.graph_objects as go
from kedro_datasets.plotly import JSONDataset

from omr_kedro.datasets.whole_files import write_whole


class WholePlotDataset(JSONDataset):  # type: ignore[misc]  # kedro-datasets has no types
    """A plot, as the JSON that Plotly and Kedro-Viz draw."""

    def save(self, data: go.Figure) -> None:
        """Write aside, then rename."""
        text = StringIO()
        data.write_json(text, **self._save_args)
        write_whole(Path(self._filepath), text.getvalue())
