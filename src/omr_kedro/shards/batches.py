"""Rows as Arrow batches that fit a table's schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import orjson
import pyarrow as pa

from omr_kedro.shards.errors import RowError
from omr_kedro.shards.recipes import Row


def batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """The rows in lists of this size, the last one perhaps shorter."""
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch


def checked(rows: list[Row], schema: pa.Schema, table: str) -> pa.RecordBatch:
    """The rows as one batch.

    Raises:
        RowError: names the table, the column and what it holds.
    """
    if unknown := set().union(*rows) - set(schema.names):
        raise RowError(f"{table}: columns {sorted(unknown)} are not in the table's schema")
    try:
        batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    except (pa.ArrowException, TypeError) as error:
        raise RowError(f"{table}: {_first_misfit(rows, schema)}: {error}") from error
    for field, column in zip(schema, batch.columns, strict=True):
        if not field.nullable and column.null_count:
            raise RowError(f"{table}: column '{field.name}' must not be empty")
    return batch


def json_lines(rows: list[Row], batch: pa.RecordBatch) -> bytes:
    """The rows of a checked batch, a line each, columns in the schema's order."""
    # Texts, which are nearly all there is, need no way through Arrow and back; numbers may have changed their type.
    converted = {
        field.name: column.to_pylist()
        for field, column in zip(batch.schema, batch.columns, strict=True)
        if not pa.types.is_string(field.type)
    }
    names = batch.schema.names
    whole = (
        {name: converted[name][place] if name in converted else row.get(name) for name in names}
        for place, row in enumerate(rows)
    )
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in whole)


def _first_misfit(rows: list[Row], schema: pa.Schema) -> str:
    for row in rows:
        for field in schema:
            try:
                pa.array([row.get(field.name)], type=field.type)
            except (pa.ArrowException, TypeError):
                return f"column '{field.name}' holds {type(row.get(field.name)).__name__}, not {field.type}"
    return "a row does not fit the schema"
