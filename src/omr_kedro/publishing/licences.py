"""Licences of published rows, by their sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from omr_kedro.publishing.columns import by_value

UNKNOWN = "unknown"
"""Licence of rows for which nobody has named one; the Hub has it among its licences."""


@dataclass(frozen=True)
class Licences:
    """Licence of each row, by its source."""

    usual: str = UNKNOWN
    by_source: Mapping[str, str] = field(default_factory=dict)

    def of(self, sources: pa.Array) -> pa.Array:
        """The licences of rows of these sources."""
        special = by_value(sources, self.by_source.get)
        return pc.fill_null(special, self.usual)
