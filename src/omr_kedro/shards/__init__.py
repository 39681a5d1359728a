"""Tables as folders of shards: identity of rows, lazy making, atomic files. Knows neither Kedro nor models."""

from omr_kedro.shards.benchmark import Benchmark
from omr_kedro.shards.errors import (
    BadInputError,
    DiskFullError,
    OmrError,
    RowError,
    ShardCountError,
    TableBusyError,
    UnmadeError,
)
from omr_kedro.shards.identity import code_digest, content_id, shard_names, shard_of
from omr_kedro.shards.records import Record
from omr_kedro.shards.source import Part, Source, checked_text
from omr_kedro.shards.store import Mark, TableStore
from omr_kedro.shards.table import (
    Check,
    Derived,
    Finished,
    Making,
    Routed,
    Row,
    Scratch,
    Shard,
    Shards,
    accept,
    derive,
    derive_parts,
    route,
)

__all__ = [
    "BadInputError",
    "Benchmark",
    "Check",
    "Derived",
    "DiskFullError",
    "Finished",
    "Making",
    "Mark",
    "OmrError",
    "Part",
    "Record",
    "Routed",
    "Row",
    "RowError",
    "Scratch",
    "Shard",
    "ShardCountError",
    "Shards",
    "Source",
    "TableBusyError",
    "TableStore",
    "UnmadeError",
    "accept",
    "checked_text",
    "code_digest",
    "content_id",
    "derive",
    "derive_parts",
    "route",
    "shard_names",
    "shard_of",
]
