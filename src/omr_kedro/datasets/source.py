"""Files from outside, in the catalog."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import JSONPreview

from omr_kedro.datasets.explained import explained
from omr_kedro.datasets.hub import hub_snapshot
from omr_kedro.shards import BadInputError, Source, TableStore
from omr_kedro.shards.integrity import Integrity
from omr_kedro.shards.printable import printable_path
from omr_kedro.shards.side_files import MADE, side

_COUNTED_BYTES = 64 * 2**20
"""Files that are read to count their records, in all."""


class SourceDataset(AbstractDataset[NoReturn, Source]):
    """JSON Lines or Parquet that somebody else wrote, one file or a folder of them. Loads a `Source`, which streams.

    A table of this project may be read like this as well; its files are compared with what was written.

    ```yaml
    forum_dump:
      type: omr_kedro.datasets.SourceDataset
      filepath: null                        # a local file or folder; when given, the hub is not asked
      hub:
        repo: DeepStudentLlama/AoPS-Instruct
        revision: 4fde851                   # hash of a commit
        folder: 2024_not_decontaminated     # of the repository; its Parquet and JSON Lines files are read
    ```
    """

    def __init__(
        self,
        *,
        filepath: str | None = None,
        hub: dict[str, str] | None = None,
        setting: str = "the entry in the catalog",
        obtain: str = "",
        integrity: Integrity = "once",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the files.

        Args:
            filepath: a file or a folder.
            hub: a dataset of the Hugging Face hub, where there is no `filepath`; downloaded when it is loaded.
            setting: what a person would change to bring files of their own.
            obtain: how a person gets the files; said when they are not there.
            integrity: `never` where the files of a table are not to be compared with what was written.
            metadata: passed on to Kedro-Viz and other plugins.
        """
        self.metadata = metadata
        self._filepath = Path(filepath) if filepath else None
        self._hub = hub
        self._setting = setting
        self._obtain = obtain
        self._integrity = integrity
        if not (filepath or hub):
            raise DatasetError("either `filepath` or `hub` must be given")

    def load(self) -> Source:
        """A stream that can be started anew."""
        with explained():
            if self._filepath is None:
                return self._download()
            if side(self._filepath, MADE).is_dir():
                TableStore(self._filepath, "jsonl", pa.schema([]), integrity=self._integrity).check()
            return Source(self._filepath)

    def save(self, data: NoReturn) -> None:
        """Refuse: these files are somebody else's."""
        raise DatasetError(f"{self._filepath or self._hub} is input and is never written")

    def check(self) -> None:
        """Say before any work that the files are not there; the hub is asked only when they are loaded.

        Raises:
            BadInputError: there is no such file, or none with a known suffix.
        """
        if self._filepath:
            try:
                Source(self._filepath).files()
            except BadInputError as error:
                raise BadInputError(f"{error} {self._obtain}".strip()) from None

    def summary(self) -> str:
        """Place, size, and number of records where counting them takes no time worth speaking of; for messages."""
        if not self._filepath:
            return f"{(self._hub or {})['repo']} of the hub"
        source = Source(self._filepath)
        size = sum(file.stat().st_size for file in source.files())
        records = f"{source.count():,} records, " if size <= _COUNTED_BYTES else ""
        return f"{printable_path(self._filepath)} ({records}{_bytes_in_words(size)})"

    def _download(self) -> Source:
        hub = {"folder": "", **(self._hub or {})}
        patterns = [f"{hub['folder']}/*.{suffix}".lstrip("/") for suffix in ("parquet", "jsonl")]
        try:
            snapshot = hub_snapshot(hub["repo"], str(hub["revision"]), patterns, "dataset")
        except BadInputError as error:
            raise BadInputError(f"{error}\nOr bring the files by hand, and name them: {self._setting}.") from error
        return Source(snapshot.folder / hub["folder"], f"{hub['repo']}@{snapshot.commit}")

    def _exists(self) -> bool:
        return self._filepath is None or self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)} if self._filepath else {"hub": self._hub}

    def preview(self, nrows: int = 2) -> JSONPreview:
        """The first records, of files that are on this machine."""
        import json  # noqa: PLC0415 (only previews need it)

        if self._filepath is None:
            return JSONPreview(json.dumps([self._hub]))
        with explained():
            records = list(islice(Source(self._filepath).records(), nrows))
        return JSONPreview(json.dumps([record.fields for record in records], ensure_ascii=False))


def _bytes_in_words(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"
