from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from omr_kedro.datasets import WholeCSVDataset


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("in the middle of the file")


def test_a_file_that_cannot_be_written_to_its_end_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "funnel.csv"
    dataset = WholeCSVDataset(filepath=str(path), save_args={"index": False})
    dataset.save(pd.DataFrame({"a": [1, 2]}))
    with pytest.raises(DatasetError):
        dataset.save(pd.DataFrame({"a": ["x", Unprintable()]}))
    assert dataset.load()["a"].tolist() == [1, 2]
    assert list(tmp_path.iterdir()) == [path]
