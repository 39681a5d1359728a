"""Files from outside, in the catalog."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from kedro.io import DatasetError

from omr_kedro.datasets import SourceDataset
from omr_kedro.shards import TableStore
from tests.support.damage import flip
from tests.support.tables import given

SCHEMA = pa.schema([("benchmark", pa.string()), ("problem", pa.string())])
ROWS = [{"benchmark": "b", "problem": f"Find {number}."} for number in range(6)]


def test_a_table_that_is_read_as_a_source_is_compared_with_what_was_written(tmp_path: Path) -> None:
    TableStore(tmp_path, "jsonl", SCHEMA).save(given(ROWS))
    assert len(list(SourceDataset(filepath=str(tmp_path)).load().records())) == len(ROWS)
    path = tmp_path / "shard-00001-of-00003.jsonl"
    flip(path, path.read_bytes().index(b"Find"))
    with pytest.raises(DatasetError, match=r"shard-00001-of-00003.jsonl holds other bytes .* Work with a copy"):
        SourceDataset(filepath=str(tmp_path)).load()
    assert SourceDataset(filepath=str(tmp_path), integrity="never").load().files()


def test_other_folders_have_nothing_to_be_compared_with(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"problem": "x"}\n')
    assert [record.fields for record in SourceDataset(filepath=str(tmp_path)).load().records()] == [{"problem": "x"}]
    assert SourceDataset(filepath=str(tmp_path / "mine.jsonl")).load().count() == 1
