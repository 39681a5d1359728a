"""Resources of a process, in the catalog."""

from __future__ import annotations

import threading
from abc import abstractmethod
from typing import Any, ClassVar, Generic, NoReturn, TypeVar

from kedro.io import AbstractDataset, DatasetError

from omr_kedro.resources import Resource, Shared

Loaded = TypeVar("Loaded", bound=Resource)


class ResourceDataset(AbstractDataset[NoReturn, Loaded], Generic[Loaded]):
    """Loads the one object of its kind that a process has; `release` ends what that object has started.

    Loading starts nothing. Kedro never releases the inputs of a pipeline, so a run does it after the last node that
    takes the resource (`hooks.Resources`), and a job when its lanes have ended (`runners.job`).
    """

    # One lock for all: making a resource costs nothing, and a dataset with a lock of its own could not be copied.
    _making: ClassVar[threading.Lock] = threading.Lock()
    _made: Loaded | None = None

    @abstractmethod
    def _make(self) -> Loaded:
        """Make the object, and start nothing."""
        ...

    def load(self) -> Loaded:
        """The object; the same one each time."""
        with self._making:
            if self._made is None:
                self._made = self._make()
            return self._made

    def save(self, data: NoReturn) -> None:
        """Refuse."""
        raise DatasetError("a resource is described in the catalog and never written")

    def _release(self) -> None:
        if self._made is not None:
            self._made.close()

    def _exists(self) -> bool:
        return True


class SharedDataset(ResourceDataset[Shared[Any]]):
    """Loads `Shared`: room for one object that a node makes of its inputs, and that all lanes of a process share.

    ```yaml
    benchmark_index:
      type: omr_kedro.datasets.SharedDataset
    ```
    """

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        """Describe it; `metadata` is passed on to Kedro-Viz and other plugins."""
        self.metadata = metadata

    def _make(self) -> Shared[Any]:
        return Shared()

    def _describe(self) -> dict[str, Any]:
        return {}
