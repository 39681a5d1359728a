"""Tables as folders of shards: identity of rows, lazy making, atomic files. Knows neither Kedro nor models."""

from omr_kedro.shards.errors import BadInputError, OmrError, RowError, ShardCountError, TableBusyError, UnmadeError
from omr_kedro.shards.identity import code_digest, content_id, shard_of
from omr_kedro.shards.source import Record, Source, checked_text
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
    route,
)

__all__ = [
    "BadInputError",
    "Check",
    "Derived",
    "Finished",
    "Making",
    "Mark",
    "OmrError",
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
    "route",
    "shard_of",
]
