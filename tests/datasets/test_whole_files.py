from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
from kedro.io import AbstractDataset, DatasetError

from omr_kedro.datasets import IfThereDataset, WholeCSVDataset, WholeJSONDataset, WholeTextDataset
from omr_kedro.datasets.whole_plot import WholePlotDataset
from tests.support.damage import files_below


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("in the middle of the file")


class UnprintablePlot(go.Figure):  # type: ignore[misc]  # plotly has no types
    def write_json(self, file: Any, **_: Any) -> None:
        file.write('{"data": [')
        raise ValueError("in the middle of the file")


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (WholeCSVDataset, pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": ["x", Unprintable()]})),
        (WholeJSONDataset, {"model": "m"}, {"model": Unprintable()}),
        (WholeTextDataset, "a card", None),
        (WholePlotDataset, go.Figure(go.Bar(x=[1], y=[2])), UnprintablePlot()),
    ],
)
def test_a_file_that_cannot_be_written_to_its_end_leaves_the_old_one(
    tmp_path: Path, kind: type[AbstractDataset[Any, Any]], good: Any, bad: Any
) -> None:
    path = tmp_path / "file"
    dataset = kind(filepath=str(path))  # type: ignore[call-arg]  # the base class takes no arguments
    dataset.save(good)
    before = path.read_bytes()
    with pytest.raises(DatasetError):
        dataset.save(bad)
    assert path.read_bytes() == before
    assert {file.name for file in files_below(tmp_path)} == {"file", "file.crc32"}
    dataset.load()


def test_a_file_that_was_edited_is_kept_aside_before_it_is_written_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "funnel.csv"
    dataset = WholeCSVDataset(filepath=str(path), save_args={"index": False})
    for rows in ([1, 2], [1, 2], [3]):
        dataset.save(pd.DataFrame({"a": rows}))
    assert not caplog.records
    path.write_text("a,note\n3,mine\n")
    dataset.save(pd.DataFrame({"a": [4]}))
    assert path.read_text() == "a\n4\n"
    kept = tmp_path / ".damaged" / "funnel.csv"
    assert kept.read_text() == "a,note\n3,mine\n"
    (told,) = [record.getMessage() for record in caplog.records]
    assert str(path) in told
    assert str(kept) in told


def test_a_file_whose_checksum_is_damaged_is_kept_aside_at_worst(tmp_path: Path) -> None:
    dataset = WholeJSONDataset(filepath=str(tmp_path / "manifest.json"))
    dataset.save({"model": "m"})
    (tmp_path / ".made" / "manifest.json.crc32").write_bytes(b"\xff\0")
    dataset.save({"model": "n"})
    assert dataset.load() == {"model": "n"}
    assert json.loads((tmp_path / ".damaged" / "manifest.json").read_text()) == {"model": "m"}


def test_a_plot_is_previewed_as_it_was_drawn(tmp_path: Path) -> None:
    dataset = WholePlotDataset(filepath=str(tmp_path / "plot.json"))
    dataset.save(go.Figure(go.Bar(x=[1], y=[2])))
    assert dataset.preview()["data"][0]["type"] == "bar"
    assert json.loads((tmp_path / "plot.json").read_text())["data"]


def test_an_optional_table_that_nobody_has_made_has_no_rows(tmp_path: Path) -> None:
    path = (tmp_path / "t.csv").as_posix()
    table = WholeCSVDataset(filepath=path, optional=True, save_args={"index": False})
    assert len(table.load()) == 0
    table.save(pd.DataFrame({"n": [1]}))
    assert table.load()["n"].tolist() == [1]
    assert WholeCSVDataset(filepath=path).load()["n"].tolist() == [1]


def test_what_may_be_there_is_loaded_as_it_is_and_is_none_before(tmp_path: Path) -> None:
    entry = {"type": "omr_kedro.datasets.WholeTextDataset", "filepath": str(tmp_path / "README.md")}
    looked = IfThereDataset(dataset=entry)
    assert looked.load() is None
    WholeTextDataset(filepath=entry["filepath"]).save("# Märchen\n")
    assert looked.load() == "# Märchen\n"
    with pytest.raises(DatasetError, match="never writes"):
        looked.save("other")  # type: ignore[arg-type]
