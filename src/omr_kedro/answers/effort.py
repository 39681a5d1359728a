"""How much is computed in this process to compare two answers."""

from __future__ import annotations

from dataclasses import dataclass


class UndecidedError(Exception):
    """Not a case for this way, or too large for it."""


class ExhaustedError(Exception):
    """Nothing is left of an `Effort`."""


@dataclass(slots=True)
class Effort:
    """Steps that one comparison may still take. Steps rather than time, so that a busy machine changes no verdict.

    A set of fifty square roots against another takes 180,000 steps. Two nested sets of a thousand numbers would take
    millions, and hours: those are for a worker, which can be ended.
    """

    left: int = 250_000
    """Steps, of some 3 µs each."""

    def spend(self, steps: int) -> None:
        """Take steps off.

        Raises:
            ExhaustedError: there are none left.
        """
        self.left -= steps
        if self.left < 0:
            raise ExhaustedError
