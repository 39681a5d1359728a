from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from kedro.io import DatasetError

from omr_kedro.datasets import PublishedFilesDataset
from omr_kedro.publishing.publication import Publication, publication

SCHEMA = pa.schema([("problem", pa.string()), ("solution_id", pa.string())])


class Made:
    """Rows that note how often they were made."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.times = 0

    def publication(self) -> Publication:
        def batches() -> Iterator[pa.RecordBatch]:
            self.times += 1
            rows = [{"problem": f"How many are {n}?", "solution_id": f"s{n}"} for n in range(self.count)]
            yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)

        return publication(SCHEMA, batches, [], self.count)


def dataset(folder: Path) -> PublishedFilesDataset:
    return PublishedFilesDataset(filepath=str(folder), config="cot")


def test_a_config_is_written_once_and_again_when_its_rows_may_have_changed(tmp_path: Path) -> None:
    one, two = Made(3), Made(4)
    for made in (one, one, two):
        dataset(tmp_path).save(made.publication())
    assert (one.times, two.times) == (1, 1)
    assert dataset(tmp_path).load().manifest.rows == 4


def test_a_file_that_was_edited_is_written_anew(tmp_path: Path) -> None:
    made = Made(3)
    dataset(tmp_path).save(made.publication())
    (path,) = dataset(tmp_path).load().paths
    before = path.read_bytes()
    path.write_bytes(before[:-1] + b"x")
    dataset(tmp_path).save(made.publication())
    assert made.times == 2
    assert path.read_bytes() == before


def test_a_config_that_was_never_published_says_how_to(tmp_path: Path) -> None:
    assert not dataset(tmp_path).exists()
    with pytest.raises(DatasetError, match="kedro run --pipelines publish"):
        dataset(tmp_path).load()


def test_an_empty_config_is_there_and_has_no_preview_rows(tmp_path: Path) -> None:
    dataset(tmp_path).save(Made(0).publication())
    assert dataset(tmp_path).exists()
    assert dataset(tmp_path).load().manifest.files == ()
    assert dataset(tmp_path).preview()["data"] == []


def test_the_picture_of_a_config_shows_its_first_rows_and_its_sizes(tmp_path: Path) -> None:
    dataset(tmp_path).save(Made(9).publication())
    preview = dataset(tmp_path).preview(2)
    assert preview["data"] == [["How many are 0?", "s0"], ["How many are 1?", "s1"]]
    sizes = dataset(tmp_path).sizes()
    assert (sizes["rows"], sizes["columns"]) == (9, 2)
    assert sizes["file_size"] > 0


def test_a_word_for_integrity_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="integrity is once"):
        PublishedFilesDataset(filepath=str(tmp_path), config="cot", integrity="often")  # type: ignore[arg-type]
