from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog, DatasetError

from omr_kedro.datasets import ShardsDataset
from omr_kedro.shards import content_id
from tests.support.tables import given

THREAD = {"thread_id": content_id("x"), "forum_post": "x" * 500, "forum_discussions": "", "source": "f:1"}


def catalog(folder: Path, format: str = "jsonl") -> DataCatalog:
    return DataCatalog.from_config(
        {
            "threads": {
                "type": "omr_kedro.datasets.ShardsDataset",
                "filepath": str(folder / "threads"),
                "schema": "omr_kedro.tables.THREADS",
                "format": format,
            }
        }
    )


def threads_of(data: DataCatalog) -> ShardsDataset:
    dataset = data["threads"]
    assert isinstance(dataset, ShardsDataset)
    return dataset


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_a_table_goes_through_the_catalog(tmp_path: Path, format: str) -> None:
    data = catalog(tmp_path, format)
    assert not data.exists("threads")
    data.save("threads", given([THREAD]))
    assert data.exists("threads")
    assert next(iter(data.load("threads").rows())) == {**THREAD, "problem_source": None, "extra": None}


def optional(folder: Path) -> ShardsDataset:
    return ShardsDataset(filepath=str(folder), schema="omr_kedro.tables.THREADS", optional=True)


def test_an_optional_table_that_was_never_made_is_empty(tmp_path: Path) -> None:
    assert list(optional(tmp_path / "threads").load().rows()) == []
    with pytest.raises(DatasetError, match="is not there"):
        catalog(tmp_path).load("threads")


def test_an_optional_table_that_was_not_finished_is_missing_as_any_other(tmp_path: Path) -> None:
    dataset = optional(tmp_path / "threads")
    dataset.save(given([THREAD]))
    (tmp_path / "threads/.complete.json").unlink()
    with pytest.raises(DatasetError, match="is not there"):
        dataset.load()


def test_a_preview_shows_the_columns_and_cuts_long_texts(tmp_path: Path) -> None:
    data = catalog(tmp_path)
    data.save("threads", given([THREAD] * 9))
    preview: dict[str, Any] = threads_of(data).preview(nrows=2)
    assert (preview["columns"][0], preview["columns"][-1]) == ("forum_post", "thread_id")
    assert len(preview["data"]) == 2
    assert len(preview["data"][0][0]) < 250


def test_a_table_that_was_never_made_has_an_empty_preview(tmp_path: Path) -> None:
    assert threads_of(catalog(tmp_path)).preview()["data"] == []


def test_a_row_that_does_not_fit_reaches_the_person_in_our_words(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as refused:
        catalog(tmp_path).save("threads", given([{**THREAD, "forum_post": None}]))
    assert str(refused.value).endswith("threads: column 'forum_post' must not be empty")
