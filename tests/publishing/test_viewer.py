from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omr_kedro.publishing.files import publish
from omr_kedro.publishing.publication import Publication, publication
from tests.publishing import viewer

SCHEMA = pa.schema([("problem_id", pa.string()), ("generated_solution", pa.string())])


def texts(rows: int, chars: int) -> Publication:
    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(rows):
            row = {"problem_id": f"p{number}", "generated_solution": f"{number} " * (chars // 4)}
            yield pa.RecordBatch.from_pylist([row], schema=SCHEMA)

    return publication(SCHEMA, batches, [], [rows, chars])


def test_long_solutions_in_great_number_are_shown_by_the_viewer(tmp_path: Path) -> None:
    """More than a row group of solutions, each of 16,384 tokens and more."""
    published = publish(tmp_path, "cot", texts(400, 150_000))
    assert published.manifest.bytes_in_memory > 50_000_000
    assert list(viewer.faults(tmp_path)) == []


@pytest.mark.parametrize(
    ("rows", "chars", "options", "words"),
    [
        (1, 5_000_000, {"write_page_index": True}, "a row of"),
        (2, 100, {}, "no page index"),
        (800, 150_000, {"write_page_index": True, "row_group_size": 1_000, "use_dictionary": False}, "row group 0: 1"),
    ],
)
def test_the_script_finds_what_the_viewer_does_not_show(
    tmp_path: Path, rows: int, chars: int, options: dict[str, bool], words: str
) -> None:
    (tmp_path / "data/cot").mkdir(parents=True)
    table = pa.Table.from_batches(texts(rows, chars).batches())
    pq.write_table(table, tmp_path / "data/cot/train.parquet", **options)
    assert any(words in fault for fault in viewer.faults(tmp_path))


def test_a_folder_without_files_is_no_dataset(tmp_path: Path) -> None:
    assert list(viewer.faults(tmp_path)) == [f"{tmp_path}: there are no files"]
