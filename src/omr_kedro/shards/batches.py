"""Rows as Arrow batches that fit a table's schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from omr_kedro.shards.errors import RowError
from omr_kedro.shards.recipes import Row

# One of so many rows is measured: to measure each would be a tenth of what writing a short one costs. A prime number,
# so that rows that come in turns, as the samples of a problem do, are all measured now and then.
_ALIKE = 7


class Most(NamedTuple):
    """How much may be in memory at once: rows, and bytes of their texts."""

    rows: int
    bytes: int


def batches(rows: Iterable[Row], most: Most) -> Iterator[list[Row]]:
    """The rows in lists that hold about as much as they may, or one row that is larger."""
    rest = iter(rows)
    batch: list[Row] = []
    size = 0
    for row in rest:
        one = text_size(row)
        fit = max(1, min(_ALIKE, most.rows - len(batch), (most.bytes - size) // max(1, one)))
        batch += (row, *islice(rest, fit - 1))
        size += fit * one
        if size >= most.bytes or len(batch) >= most.rows:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def text_size(row: Row) -> int:
    """About how many bytes the texts of a row take, as one for each character; all else is taken for nothing."""
    size = 0
    for value in row.values():
        kind = type(value)
        if kind is str:
            size += len(value)
        elif kind is list or kind is dict:
            size += _nested_size(value)
    return size


def _nested_size(value: Any) -> int:
    if isinstance(value, dict):
        return text_size(value)
    if isinstance(value, list):
        return sum(map(_nested_size, value))
    return len(value) if isinstance(value, str) else 0


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
