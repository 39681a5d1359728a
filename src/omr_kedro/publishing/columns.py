"""Columns of published rows, made of columns: texts are joined and laid side by side without a Python object of any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from omr_kedro.shards.errors import OmrError
from omr_kedro.tables.publishing import MESSAGE

Columns = dict[str, pa.Array]


class UnmatchedRowsError(OmrError):
    """Rows of one table that should stand in the order of another one's, and do not."""


def batch_of(columns: Columns, schema: pa.Schema, rows: int) -> pa.RecordBatch:
    """Columns in the order of a schema; one that is not given is empty."""
    arrays = [columns.get(field.name) for field in schema]
    filled = [
        pa.nulls(rows, field.type) if array is None else array for array, field in zip(arrays, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(filled, schema=schema)


def constant(value: Any, rows: int, kind: pa.DataType | None = None) -> pa.Array:
    """A column that holds one value."""
    return pa.repeat(pa.scalar(value, kind or pa.string()), rows)


def by_value(column: pa.Array, function: Callable[[str], str | None]) -> pa.Array:
    """A column of what a function makes of each text, called once for each that there is; empty where it is empty."""
    encoded = column.dictionary_encode()
    made = pa.array([function(text) for text in encoded.dictionary.to_pylist()], pa.string())
    return made.take(encoded.indices) if len(made) else pa.nulls(len(column), pa.string())


def think(reasoning: pa.Array, text: pa.Array) -> pa.Array:
    """The original's single string: reasoning between its tags, then the text; the text alone without reasoning."""
    joined = pc.binary_join_element_wise("<think>\n", reasoning, "\n</think>\n", text, "")
    return pc.coalesce(joined, text)


def interleaved(*columns: pa.Array) -> pa.Array:
    """The values of columns in turn: the first of each, the second of each, and so on."""
    rows = len(columns[0])
    places = np.arange(rows * len(columns)).reshape(len(columns), rows).T.ravel()
    return pa.concat_arrays(columns).take(pa.array(places))


def chats(roles: Sequence[str], messages: Sequence[Columns], kind: pa.StructType = MESSAGE) -> pa.Array:
    """Chats of as many messages as there are roles, one a row.

    Args:
        roles: of the messages.
        messages: for each, the columns of its fields but `role`; a field that is not given is empty.
        kind: of a message.
    """
    rows = len(next(iter(messages[0].values())))
    fields = [
        interleaved(
            *(
                constant(role, rows) if field.name == "role" else message.get(field.name, pa.nulls(rows, field.type))
                for role, message in zip(roles, messages, strict=True)
            )
        )
        for field in kind
    ]
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * len(roles))
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(fields, fields=list(kind)))


def alongside(
    batches: Iterable[pa.RecordBatch], others: Iterable[pa.RecordBatch], key: str, value: str
) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
    """Each batch with a value for each of its rows, out of rows of another table; empty where it has none.

    The other rows stand in the order of the first, some of which have none: memory holds a batch of each.

    Raises:
        UnmatchedRowsError: another row belongs to none of the first, or to one that came before.
    """
    rest = iter(others)
    waiting = next(rest, None)
    for batch in batches:
        keys = batch.column(key)
        found: list[pa.RecordBatch] = []
        while waiting is not None:
            here = pc.is_in(waiting.column(key), keys)
            count = here.true_count
            found.append(waiting.slice(0, count))
            if not pc.all(here.slice(0, count)).as_py() and count:
                raise UnmatchedRowsError(f"rows of '{value}' stand in another order than the rows that they belong to")
            if count < len(waiting):
                waiting = waiting.slice(count)
                break
            waiting = next(rest, None)
        table = pa.Table.from_batches(found) if found else None
        if table is None or not len(table):
            yield batch, pa.nulls(len(batch), pa.string())
        else:
            places = pc.index_in(keys, table[key].combine_chunks())
            yield batch, table[value].combine_chunks().take(places)
    if waiting is not None:
        raise UnmatchedRowsError(f"a row of '{value}' belongs to none of the rows: {waiting.column(key)[0]}")
