"""The pool of processes that compare answers, in the catalog."""

from __future__ import annotations

from typing import Any

from kedro.io import DatasetError

from omr_kedro.answers import Limits, Workers
from omr_kedro.datasets.resource import ResourceDataset

_LEAST_MEMORY_MB = 128


class GradingWorkersDataset(ResourceDataset[Workers]):
    """Loads `Workers`: the one pool of a process, whose workers start with the first answer that needs one.

    ```yaml
    grading_workers:
      type: omr_kedro.datasets.GradingWorkersDataset
      workers: null       # as many as there are processors
      cpu_seconds: 5.0    # of a worker for one answer or one comparison
      memory_mb: 1024     # of a worker
    ```
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        cpu_seconds: float = 5.0,
        memory_mb: int = 1024,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the pool; the limits decide verdicts, the number of workers does not.

        Args:
            workers: processes; as many as this process may use processors when null.
            cpu_seconds: CPU time of a worker for one answer or one comparison.
            memory_mb: address space of a worker, in MiB; the libraries alone take some 100.
            metadata: passed on to Kedro-Viz and other plugins.

        Raises:
            DatasetError: no worker could live within such limits.
        """
        if (workers is not None and workers < 1) or cpu_seconds <= 0 or memory_mb < _LEAST_MEMORY_MB:
            raise DatasetError(
                f"workers must be 1 at least (or null), cpu_seconds above 0, memory_mb {_LEAST_MEMORY_MB} at least; "
                f"given are {workers}, {cpu_seconds} and {memory_mb}"
            )
        self.metadata = metadata
        self._workers = workers
        self._limits = Limits(cpu_seconds, memory_mb)

    def _make(self) -> Workers:
        return Workers(self._workers, self._limits)

    def _describe(self) -> dict[str, Any]:
        limits = {"cpu_seconds": self._limits.cpu_seconds, "memory_mb": self._limits.memory_mb}
        return {"workers": self._workers, **limits}
