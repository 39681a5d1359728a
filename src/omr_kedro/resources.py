"""Resources: what a process has one of, whatever the number of nodes and lanes that use it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar, runtime_checkable

Held = TypeVar("Held")


@runtime_checkable
class Resource(Protocol):
    """A model with its server, a pool of processes, an index: made at no cost, started at its first use."""

    @property
    def identity(self) -> object:
        """All of it that decides results, as JSON can hold it; None where nothing does."""
        ...

    def close(self) -> None:
        """End what was started. The next use starts it again, so closing early costs time and is no error."""
        ...


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Shared(Generic[Held]):
    """Room for one object that is costly to make: the first who needs it makes it, all others wait for it and share it.

    The resource of nodes that make such an object of their inputs, as the index of the benchmarks.
    """

    identity = None
    """The inputs that the object is made of decide it, and they are in fingerprints for themselves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[object, Held] | None = None

    def get(self, key: object, make: Callable[[], Held]) -> Held:
        """The object of this key; made anew when the last one had another key.

        Args:
            key: equal for equal objects.
            make: makes the object; whatever it raises is passed on, and the next caller tries again.
        """
        with self._lock:
            if self._held is None or self._held[0] != key:
                self._held = None  # Two of them at once may be more than the memory has room for.
                self._held = (key, make())
            return self._held[1]

    def close(self) -> None:
        """Let the object go."""
        with self._lock:
            self._held = None
