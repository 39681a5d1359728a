"""Columns: name, type, meaning. The ids that tables join by stand here, once."""

from __future__ import annotations

from collections.abc import Sequence

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

_READ_FIRST = ("problem", "benchmark_problem", "forum_post", "text", "expected_answer", "forum_discussions", "reply")
_READ_LAST = ("_id", "_hash", "_key", "_fingerprint")


def texts_first(names: Sequence[str]) -> list[str]:
    """Columns in the order in which people look at them: texts, then facts about them, then ids and hashes."""
    texts = [name for name in _READ_FIRST if name in names]
    ids = [name for name in names if name.endswith(_READ_LAST)]
    return [*texts, *(name for name in names if name not in texts and name not in ids), *ids]
