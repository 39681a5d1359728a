"""The sandbox for code that a model wrote, in the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from kedro.io import DatasetError

from omr_kedro.datasets.resource import ResourceDataset
from omr_kedro.sandbox import MODULES, Isolation, Limits, Plan, Sandbox, check_machine


class PythonSandboxDataset(ResourceDataset[Sandbox]):
    """Loads `Sandbox`: the one pool of sessions of a process, which starts with the first cell that is run.

    ```yaml
    python_sandbox:
      type: omr_kedro.datasets.PythonSandboxDataset
      seconds: 10           # of a cell
      characters: 1000      # of standard output, and of standard error
      memory_mb: 1024       # of a session
      scratch_mb: 16        # of a session's own directory
      cores: null           # cells at a time; as many as there are processors
      sessions: 1000        # processes at a time
      isolation: auto       # the strongest that the machine gives; none only for code of one's own
    ```
    """

    def __init__(
        self,
        *,
        seconds: float = 10.0,
        characters: int = 1000,
        memory_mb: int = 1024,
        scratch_mb: int = 16,
        cores: int | None = None,
        sessions: int = 1000,
        nice: int = 19,
        isolation: Isolation = "auto",
        modules: Sequence[str] = MODULES,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the pool; limits and modules decide what cells answer, its size does not.

        Args:
            seconds: of one cell, from the moment at which it has a core.
            characters: of standard output, and as many of standard error; the rest is cut.
            memory_mb: of a session, in MiB, beside what the mathematics takes by itself.
            scratch_mb: of a session's own directory, in MiB, at the level `namespaces`.
            cores: cells that run at the same time; as many as this process may use processors when null.
            sessions: processes at the same time; idle ones make room and are rebuilt when they are needed.
            nice: how far cells stand back behind all else on the machine, 0 to 19.
            isolation: `auto`, or one level; `none` is for code of one's own.
            modules: what cells may import beside the standard library; those not installed are left out.
            metadata: passed on to Kedro-Viz and other plugins.

        Raises:
            DatasetError: nothing could run within such limits, or there is no such isolation.
        """
        if isolation not in get_args(Isolation):
            raise DatasetError(f"isolation is one of {', '.join(get_args(Isolation))}, and not {isolation!r}")
        if (cores is not None and cores < 1) or sessions < 1 or not 0 <= nice <= 19:
            raise DatasetError(
                f"cores must be 1 at least (or null), sessions 1 at least, nice from 0 to 19; given are {cores}, "
                f"{sessions} and {nice}"
            )
        try:
            self._limits = Limits(seconds, characters=characters, memory_mb=memory_mb, scratch_mb=scratch_mb)
        except ValueError as error:
            raise DatasetError(str(error)) from None
        self._plan = Plan(isolation, cores, sessions, nice, tuple(modules))
        self.metadata = metadata

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels of isolation that it would take."""
        return self._plan.levels

    def check_machine(self) -> None:
        """Say before any work that no code can be run on this machine.

        Raises:
            SandboxRefusedError: it gives none of the levels; names the ways out.
            SandboxError: nothing could be tried.
        """
        check_machine(self.levels)

    def _make(self) -> Sandbox:
        return Sandbox(self._plan, self._limits)

    def _describe(self) -> dict[str, Any]:
        plan = {name: getattr(self._plan, name) for name in ("isolation", "cores", "sessions", "nice", "modules")}
        return {**self._limits.identity, **plan}
