"""Rows of a shard as Arrow batches: for work by column, which makes no Python object of a text."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from omr_kedro.shards.batches import Most, batches
from omr_kedro.shards.recipes import Shard

_MOST = Most(rows=1024, bytes=1 << 20)


def arrow_batches(shard: Shard, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Stream a shard's rows in batches of about a megabyte, by column where they are stored so.

    Args:
        shard: whose rows.
        schema: the columns wanted; one that the rows have not is empty.
    """
    if not shard.count:
        return
    if shard.read_batches is None:
        names = schema.names
        for rows in batches(({name: row.get(name) for name in names} for row in shard.rows()), _MOST):
            yield pa.RecordBatch.from_pylist(rows, schema=schema)
        return
    for batch in shard.read_batches(schema.names):
        there = batch.schema.names
        columns = [
            batch.column(field.name) if field.name in there else pa.nulls(len(batch), field.type) for field in schema
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)
