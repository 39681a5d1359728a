"""Columns: name, type, meaning. The ids that tables join by stand here, once."""

from __future__ import annotations

import pyarrow as pa

TEXT, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()


def column(name: str, kind: pa.DataType, meaning: str, *, required: bool = False) -> pa.Field:
    """A column.

    Args:
        name: its name.
        kind: its type.
        meaning: one phrase for docs/data-model.md.
        required: whether it is always filled.
    """
    return pa.field(name, kind, nullable=not required, metadata={"meaning": meaning})


THREAD_ID = column("thread_id", TEXT, "content id of the thread (first post and discussion)", required=True)
PROBLEM_ID = column("problem_id", TEXT, "content id of the thread and the statement", required=True)
