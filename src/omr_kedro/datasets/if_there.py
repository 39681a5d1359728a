"""A file that a run may have made or not, in the catalog."""

from __future__ import annotations

from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError


class IfThereDataset(AbstractDataset[NoReturn, Any]):
    """Loads as another dataset does, and None where that one has nothing yet.

    ```yaml
    earlier_dataset_card:               # as the run before has left it
      type: omr_kedro.datasets.IfThereDataset
      dataset:
        type: omr_kedro.datasets.WholeTextDataset
        filepath: data/07_model_output/${globals:workspace}/dataset/README.md
    ```
    """

    def __init__(self, *, dataset: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """Describe the other dataset as an entry of the catalog does; it is never written through this one."""
        self.metadata = metadata
        self._dataset: AbstractDataset[Any, Any] = AbstractDataset.from_config("dataset", dataset)

    def load(self) -> Any:
        """Its content; None where there is none."""
        return self._dataset.load() if self._dataset.exists() else None

    def save(self, data: NoReturn) -> None:
        """Refuse: the other dataset's own entry is for that."""
        raise DatasetError("an entry that looks whether a file is there never writes it")

    def _describe(self) -> dict[str, Any]:
        return self._dataset._describe()
