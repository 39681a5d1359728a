from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omr_kedro.shards import Row, TableStore
from omr_kedro.shards.batches import text_size
from omr_kedro.shards.formats import FORMATS, Format, read_batches, read_column, read_rows
from tests.support import tables

SCHEMA = pa.schema(
    [("id", pa.string()), ("number", pa.int64()), ("names", pa.list_(pa.string())), ("text", pa.string())]
)

tricky = st.sampled_from(['"', "\\", '\\"id":"', "x" * 70, "ä∑😀", "\n", ""])
texts = st.none() | tricky | st.text(max_size=20)
some_rows = st.lists(
    st.fixed_dictionaries(
        {
            "id": texts,
            "number": st.none() | st.integers(-9, 9),
            "names": st.none() | st.lists(texts, max_size=3),
            "text": texts,
        }
    ),
    min_size=1,
    max_size=8,
)


def written(folder: Path, format: Format, rows: list[Row]) -> Path:
    TableStore(folder, format, SCHEMA, durable=False).save(tables.given(rows, 1))
    return folder / f"shard-00000-of-00001.{format}"


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=40)
@given(rows=some_rows, column=st.sampled_from(SCHEMA.names))
def test_some_columns_are_read_as_they_stand_in_the_rows(
    tmp_path_factory: pytest.TempPathFactory, format: Format, rows: list[dict[str, Any]], column: str
) -> None:
    path = written(tmp_path_factory.mktemp("table"), format, rows)
    assert list(read_rows(path)) == rows
    assert list(read_rows(path, [column])) == [{column: row[column]} for row in rows]
    assert list(read_column(path, column)) == [row[column] for row in rows]


def long_row(number: int, chars: int) -> Row:
    return {"id": str(number), "number": number, "names": ["a"], "text": f"{number:08d}" * (chars // 8)}


def test_row_groups_and_what_is_read_of_them_at_once_are_bounded_by_bytes(tmp_path: Path) -> None:
    rows = [long_row(number, 100 if number < 2000 else 40_000) for number in range(2600)]
    path = written(tmp_path, "parquet", rows)
    with pq.ParquetFile(path) as file:
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    assert max(group.num_rows for group in groups) <= 2048
    assert max(group.total_byte_size for group in groups) < 5 << 20
    batches = list(read_batches(path))
    assert max(batch.nbytes for batch in batches) < 2 << 20
    assert max(batch.num_rows for batch in batches) == 1024
    assert [row["id"] for row in read_rows(path)] == [row["id"] for row in rows]


def test_the_size_of_a_row_is_that_of_its_texts_wherever_they_stand() -> None:
    row = {"id": "abc", "number": 7, "names": ["de", None], "cuts": [{"kind": "f", "at": 1}], "text": None}
    assert text_size(row) == 6
