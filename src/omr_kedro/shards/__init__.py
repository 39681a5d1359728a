"""Tables as folders of shards: identity of rows, recipes for shards, atomic files. Knows neither Kedro nor models."""

from omr_kedro.shards.benchmark import Benchmark, identifier
from omr_kedro.shards.code import code_digest
from omr_kedro.shards.crashes import READING_CRASHED, unless_crashed
from omr_kedro.shards.errors import (
    BadInputError,
    ChangedTableError,
    DamagedTableError,
    DiskFullError,
    OmrError,
    RowError,
    ShardCountError,
    TableBusyError,
    UnmadeError,
)
from omr_kedro.shards.identity import MOST_SHARDS, content_id, shard_names, shard_of
from omr_kedro.shards.joins import join, join_all
from omr_kedro.shards.marks import Mark
from omr_kedro.shards.printable import printable, printable_name
from omr_kedro.shards.recipes import (
    Check,
    Finished,
    MappedShards,
    Recipe,
    Row,
    Scratch,
    Shard,
    Shards,
    accept,
    fingerprints_of,
    map_parts,
    map_shards,
)
from omr_kedro.shards.records import Record
from omr_kedro.shards.siblings import SiblingShards, map_joined, map_siblings
from omr_kedro.shards.source import Part, Source, checked_text
from omr_kedro.shards.splits import SplitShards, split_stream
from omr_kedro.shards.store import TableStore

__all__ = [
    "MOST_SHARDS",
    "READING_CRASHED",
    "BadInputError",
    "Benchmark",
    "ChangedTableError",
    "Check",
    "DamagedTableError",
    "DiskFullError",
    "Finished",
    "MappedShards",
    "Mark",
    "OmrError",
    "Part",
    "Recipe",
    "Record",
    "Row",
    "RowError",
    "Scratch",
    "Shard",
    "ShardCountError",
    "Shards",
    "SiblingShards",
    "Source",
    "SplitShards",
    "TableBusyError",
    "TableStore",
    "UnmadeError",
    "accept",
    "checked_text",
    "code_digest",
    "content_id",
    "fingerprints_of",
    "identifier",
    "join",
    "join_all",
    "map_joined",
    "map_parts",
    "map_shards",
    "map_siblings",
    "printable",
    "printable_name",
    "shard_names",
    "shard_of",
    "split_stream",
    "unless_crashed",
]
