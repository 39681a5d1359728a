from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.shards.batches import checked, json_lines

SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("count", pa.int64()),
        ("share", pa.float64()),
        ("flag", pa.bool_()),
        ("names", pa.list_(pa.string())),
        ("cuts", pa.list_(pa.struct([("post", pa.int64()), ("share", pa.float64())]))),
    ]
)
_NUMBERS = st.integers(-1000, 1000) | st.none()
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(max_size=5) | st.none(),
    "count": _NUMBERS,
    "share": _NUMBERS | st.floats(allow_nan=False, allow_infinity=False),
    "flag": st.booleans() | st.none(),
    "names": st.lists(st.text(max_size=3), max_size=3) | st.none(),
    "cuts": st.lists(st.fixed_dictionaries({}, optional={"share": _NUMBERS, "post": _NUMBERS}), max_size=2) | st.none(),
}


@given(st.lists(st.fixed_dictionaries({}, optional=_VALUES), min_size=1, max_size=5))
def test_lines_hold_what_the_checked_batch_holds(rows: list[dict[str, Any]]) -> None:
    batch = checked(rows, SCHEMA, "table")
    lines = json_lines(rows, batch)
    assert lines == b"".join(orjson.dumps(row) + b"\n" for row in batch.to_pylist())
