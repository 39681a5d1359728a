"""Files from outside, in the catalog."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import JSONPreview

from omr_kedro.datasets.errors import explained
from omr_kedro.shards import Source


class SourceDataset(AbstractDataset[NoReturn, Source]):
    """JSON Lines or Parquet that somebody else wrote, one file or a folder of them. Loads a `Source`, which streams."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Describe the files; `filepath` is a file or a folder."""
        self.metadata = metadata
        self._filepath = Path(filepath)

    def load(self) -> Source:
        """A stream that can be started anew."""
        return Source(self._filepath)

    def save(self, data: NoReturn) -> None:
        """Refuse: these files are somebody else's."""
        raise DatasetError(f"{self._filepath} is input and is never written")

    def check(self) -> None:
        """Say before any work that the files are not there.

        Raises:
            BadInputError: there is no such file, or none with a known suffix.
        """
        Source(self._filepath).files()

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def preview(self, nrows: int = 2) -> JSONPreview:
        """The first records."""
        import json  # noqa: PLC0415 (only previews need it)

        with explained():
            records = list(islice(Source(self._filepath).records(), nrows))
        return JSONPreview(json.dumps([record.fields for record in records], ensure_ascii=False))
