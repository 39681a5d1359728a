"""The table of published benchmarks."""

from __future__ import annotations

import pyarrow as pa

from omr_kedro.tables.columns import TEXT, column

BENCHMARKS = pa.schema(
    [
        column("benchmark", TEXT, "name of the benchmark", required=True),
        column("benchmark_id", TEXT, "id within the benchmark: the source's own, or file and row", required=True),
        column("problem", TEXT, "statement", required=True),
        column("source", TEXT, "repository or file, and the row in it", required=True),
        column("revision", TEXT, "commit of the repository, or digest of the file", required=True),
    ]
)
