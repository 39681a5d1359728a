from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omr_kedro.publishing.files import Sizes, fault_of, publish, read_manifest
from omr_kedro.publishing.publication import Publication, publication
from omr_kedro.shards import RowError
from tests.publishing.support import rows_of

SCHEMA = pa.schema([pa.field("problem_id", pa.string(), nullable=False), ("generated_solution", pa.string())])


def text(number: int) -> str:
    """Four thousand letters, the same for a number each time."""
    return "".join(random.Random(number).choices("abcdefghijklmnop", k=4000))


def rows(count: int, begin: int = 0) -> Publication:
    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(begin, begin + count, 10):
            made = [{"problem_id": f"p{n}", "generated_solution": text(n)} for n in range(number, number + 10)]
            yield pa.RecordBatch.from_pylist(made, schema=SCHEMA)

    return publication(SCHEMA, batches, [], [count, begin])


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("data/*/*")}


def test_rows_come_back_in_their_order_from_files_that_tell_their_number(tmp_path: Path) -> None:
    published = publish(tmp_path, "cot", rows(300), Sizes(group=100_000, file=100_000))
    names = [file.path for file in published.manifest.files]
    count = len(names)
    assert count > 2
    assert names == [f"data/cot/train-{n:05d}-of-{count:05d}.parquet" for n in range(count)]
    assert [row["problem_id"] for row in rows_of(published)] == [f"p{n}" for n in range(300)]
    assert published.manifest.rows == 300


def test_the_manifest_tells_sizes_and_digests_of_the_files(tmp_path: Path) -> None:
    manifest = publish(tmp_path, "cot", rows(100)).manifest
    assert read_manifest(tmp_path, "cot") == manifest
    for file in manifest.files:
        content = (tmp_path / file.path).read_bytes()
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert manifest.bytes_in_memory > 100 * 4000


def test_the_same_rows_make_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        publish(tmp_path / name, "cot", rows(100), Sizes(group=100_000))
    assert files_in(tmp_path / "one") == files_in(tmp_path / "two")


def test_row_groups_are_small_and_pages_are_indexed(tmp_path: Path) -> None:
    published = publish(tmp_path, "cot", rows(200), Sizes(group=100_000))
    (path,) = published.paths
    metadata = pq.ParquetFile(path).metadata
    assert metadata.num_row_groups > 5
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        assert group.total_byte_size < 110_000
        assert all(group.column(n).has_offset_index for n in range(group.num_columns))
        assert group.column(1).compression == "ZSTD"


def test_a_change_of_some_rows_leaves_most_pages_as_they_were(tmp_path: Path) -> None:
    """Cut by content: the Hub uploads chunks that it has not, and a row more moves no border but its own."""
    (one,) = publish(tmp_path / "one", "cot", rows(800)).paths
    (two,) = publish(tmp_path / "two", "cot", rows(810, begin=-10)).paths
    pages = [set(_pages(path.read_bytes())) for path in (one, two)]
    assert len(pages[0] & pages[1]) / len(pages[0]) > 0.5


def _pages(content: bytes) -> Iterator[bytes]:
    """Frames of zstd, each of which is a page."""
    yield from content.split(b"\x28\xb5\x2f\xfd")[1:]


def test_former_files_go_and_those_of_other_configs_stay(tmp_path: Path) -> None:
    publish(tmp_path, "cot", rows(300), Sizes(group=100_000, file=100_000))
    publish(tmp_path, "tir", rows(10))
    publish(tmp_path, "cot", rows(10))
    assert sorted(files_in(tmp_path)) == [f"data/{c}/train-00000-of-00001.parquet" for c in ("cot", "tir")]


def test_a_config_without_rows_has_no_folder_and_says_why(tmp_path: Path) -> None:
    publish(tmp_path, "cot", rows(10))
    nothing = publish(tmp_path, "cot", publication(SCHEMA, lambda: iter(()), [], why_empty="none is right"))
    assert not (tmp_path / "data/cot").exists()
    assert (nothing.manifest.rows, nothing.manifest.why_empty) == (0, "none is right")
    assert rows_of(nothing) == []


def test_an_error_on_the_way_leaves_the_former_files(tmp_path: Path) -> None:
    publish(tmp_path, "cot", rows(20))
    before = files_in(tmp_path)

    def broken() -> Iterator[pa.RecordBatch]:
        yield from rows(500).batches()
        raise ValueError("the disk is gone")

    with pytest.raises(ValueError, match="the disk is gone"):
        publish(tmp_path, "cot", publication(SCHEMA, broken, []), Sizes(group=100_000, file=100_000))
    assert files_in(tmp_path) == before
    assert not (tmp_path / ".making").exists()


def test_a_row_that_must_not_be_published_stops_the_writing(tmp_path: Path) -> None:
    def refuse(batch: pa.RecordBatch) -> None:
        if "p155" in batch.column("problem_id").to_pylist():
            raise RowError("p155 is contaminated")

    stopped = publication(SCHEMA, rows(300).batches, [], check=refuse)
    with pytest.raises(RowError, match="p155"):
        publish(tmp_path, "cot", stopped)
    assert files_in(tmp_path) == {}


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (pa.RecordBatch.from_pylist([{"problem_id": "a"}]), "are not those that are published"),
        (
            pa.RecordBatch.from_arrays([pa.nulls(1, pa.string()), pa.array(["x"])], schema=SCHEMA),
            "'problem_id' must not be empty",
        ),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(tmp_path: Path, batch: pa.RecordBatch, words: str) -> None:
    with pytest.raises(RowError, match=words):
        publish(tmp_path, "cot", publication(SCHEMA, lambda: iter([batch]), []))


def test_files_that_were_changed_deleted_or_added_are_found(tmp_path: Path) -> None:
    published = publish(tmp_path, "cot", rows(20))
    (path,) = published.paths
    assert fault_of(tmp_path, published.manifest) == ""
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\x00" + content[101:])
    assert fault_of(tmp_path, published.manifest) == published.manifest.files[0].path
    assert fault_of(tmp_path, published.manifest, whole=False) == ""
    path.write_bytes(content)
    (path.parent / "train-00001-of-00002.parquet").write_bytes(b"")
    assert fault_of(tmp_path, published.manifest) == "train-00001-of-00002.parquet"


def test_a_manifest_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    publish(tmp_path, "cot", rows(20))
    (tmp_path / ".published/cot.json").write_text('{"config": "cot"}')
    assert read_manifest(tmp_path, "cot") is None
    assert read_manifest(tmp_path, "tir") is None
