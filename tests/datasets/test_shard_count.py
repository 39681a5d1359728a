"""A workspace keeps the number of shards that it began with."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import DatasetError

from omr_kedro.datasets import ShardCountDataset


@pytest.mark.parametrize(
    "begun", ["threads/shard-00003-of-00016.jsonl", "threads/.made/shard-00000-of-00016.json",
              "completions/.open/shard-00001-of-00016.jsonl", "threads/_made/shard-00000-of-00016.json"]
)  # fmt: skip
def test_the_number_is_found_wherever_a_table_was_begun(tmp_path: Path, begun: str) -> None:
    dataset = ShardCountDataset(filepaths=[str(tmp_path / "threads"), str(tmp_path / "completions")])
    assert dataset.load() == 0
    (tmp_path / begun).parent.mkdir(parents=True)
    (tmp_path / begun).touch()
    assert dataset.load() == 16


def test_files_of_other_names_say_nothing_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "shard-00003-of-many.jsonl").touch()
    (tmp_path / ".complete.json").touch()
    dataset = ShardCountDataset(filepaths=[str(tmp_path)])
    assert dataset.load() == 0
    with pytest.raises(DatasetError, match="never written"):
        dataset.save(4)  # type: ignore[arg-type]
