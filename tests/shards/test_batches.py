from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.shards.batches import Most, batches, checked, json_lines

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


@given(st.lists(st.integers(0, 3000), max_size=300), st.integers(1, 40), st.integers(1, 5000))
def test_batches_hold_all_rows_in_order_and_no_more_of_them_than_they_may(
    lengths: list[int], most_rows: int, most_bytes: int
) -> None:
    rows = [{"number": number, "text": "x" * length} for number, length in enumerate(lengths)]
    found = list(batches(rows, Most(most_rows, most_bytes)))
    assert [row for batch in found for row in batch] == rows
    assert all(0 < len(batch) <= most_rows for batch in found)


@given(st.integers(1, 60), st.integers(0, 200))
def test_batches_of_long_rows_hold_few(kilobytes: int, count: int) -> None:
    rows = [{"number": number, "text": "x" * 1000 * kilobytes} for number in range(count)]
    assert all(len(batch) <= max(1, 100 // kilobytes + 1) for batch in batches(rows, Most(128, 100_000)))
