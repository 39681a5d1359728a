"""Failed tries of one call, and the time until its next one."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field

from omr_kedro.llm.calls.errors import Kind

_MAX_BACKOFF_S = 30.0
# Failures of a call between which others were answered: after a few it tells nothing of the endpoint.
FEW_OUTRUN = 5
# After so many it waits apart. One is enough where most calls fare better; but a window of 512 that is far too wide
# needs 20 refusals to shrink, and all its calls meet them.
_ALONE_OUTRUN, _CROWD_OUTRUN = 1, 20


@dataclass
class Failures:
    """Failed tries of one call, and whether others fared better; times are monotonic seconds."""

    kinds: Counter[Kind] = field(default_factory=Counter)
    outrun: int = 0
    """Tries that failed after others had been answered since the try before."""
    first_at: float = 0.0
    last_at: float = 0.0
    apart_since: float | None = None
    """From when on it seems to fail because of what it asks."""
    tries_apart: int = 0
    """Tries that failed since then."""

    def note(self, kind: Kind, *, others_answered: bool, crowd: bool) -> None:
        """Take note of a try that failed just now.

        Args:
            kind: of its error.
            others_answered: whether others were answered since the try before.
            crowd: whether most calls under way fare no better.
        """
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        self.kinds[kind] += 1
        self.outrun += others_answered
        if self.apart_since is None and self.outrun > (_CROWD_OUTRUN if crowd else _ALONE_OUTRUN):
            self.apart_since = self.last_at
        self.tries_apart += self.apart_since is not None


def backoff_s(tries: int) -> float:
    """Seconds to wait after so many tries that failed."""
    # Jitter keeps calls that failed together from coming back together.
    wait: float = min(_MAX_BACKOFF_S, 0.25 * 2**tries)
    return wait * random.uniform(0.5, 1.0)  # noqa: S311
