"""Limits of the viewer of the Hub (its docs, 242f4a1e), as a script: python -m tests.publishing.viewer FOLDER"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

MOST_OF_A_ROW = 2_000_000
MOST_OF_A_GROUP = 300_000_000
OURS = 100_000_000
"""Of a row group, as this project promises."""


def faults(folder: Path) -> Iterator[str]:
    """Everything in a dataset's files that the viewer, or the promise, does not allow."""
    files = sorted(folder.glob("data/*/*.parquet"))
    if not files:
        yield f"{folder}: there are no files"
    for path in files:
        with pq.ParquetFile(path) as parquet:
            for number in range(parquet.metadata.num_row_groups):
                group = parquet.metadata.row_group(number)
                if group.total_byte_size > min(OURS, MOST_OF_A_GROUP):
                    yield f"{path.name}, row group {number}: {group.total_byte_size:,} bytes"
                columns = (group.column(place) for place in range(group.num_columns))
                if not all(column.has_offset_index for column in columns):
                    yield f"{path.name}, row group {number}: no page index"
            for batch in parquet.iter_batches(16):
                for place in range(len(batch)):
                    size = batch.slice(place, 1).nbytes
                    if size > MOST_OF_A_ROW:
                        yield f"{path.name}: a row of {size:,} bytes"


if __name__ == "__main__":
    found = list(faults(Path(sys.argv[1])))
    print("\n".join(found) or "nothing that the viewer does not show")
    sys.exit(bool(found))
