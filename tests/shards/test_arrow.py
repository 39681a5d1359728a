from __future__ import annotations

from pathlib import Path
from typing import get_args

import pyarrow as pa
import pytest

from omr_kedro.shards import DamagedTableError, TableStore
from omr_kedro.shards.arrow import arrow_batches
from omr_kedro.shards.formats import Format
from tests.support.tables import given

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string()), ("marks", pa.list_(pa.string()))])
WANTED = pa.schema([("text", pa.string()), ("more", pa.float64()), ("id", pa.int64())])


def store(folder: Path, format: Format, count: int) -> TableStore:
    made = TableStore(folder, format, SCHEMA)
    made.save(given([{"id": n, "text": "x" * n, "marks": [str(n)]} for n in range(count)], 1))
    return made


@pytest.mark.parametrize("format", get_args(Format))
@pytest.mark.parametrize("count", [0, 3, 3000])
def test_batches_hold_the_rows_with_the_columns_that_are_wanted(tmp_path: Path, format: Format, count: int) -> None:
    (shard,) = store(tmp_path, format, count).shards().values()
    batches = list(arrow_batches(shard, WANTED))
    assert all(batch.schema.equals(WANTED) for batch in batches)
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert rows == [{"text": "x" * n, "more": None, "id": n} for n in range(count)]
    assert all(batch.nbytes < 3 << 20 for batch in batches)


def test_a_damaged_file_is_told_and_not_read_as_if_it_were_whole(tmp_path: Path) -> None:
    table = store(tmp_path, "parquet", 50)
    (path,) = table.files()
    content = path.read_bytes()
    path.write_bytes(content[:60] + b"\x00\x01\x02" + content[63:])
    (shard,) = TableStore(tmp_path, "parquet", SCHEMA).shards().values()
    with pytest.raises(DamagedTableError):
        list(arrow_batches(shard, WANTED))
