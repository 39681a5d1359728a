from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from omr_kedro.shards import Row, Scratch, TableStore, shard_names, split_stream, splits

SCHEMA = pa.schema([("n", pa.int64())])


def test_routed_rows_go_to_the_shard_they_name_and_are_tidied_there(tmp_path: Path) -> None:
    def stream() -> Iterator[tuple[str, Row]]:
        for n in range(6):
            yield f"shard-0000{n % 2}-of-00002", {"n": n}

    recipe = split_stream(stream, 2, by=None, tidy=lambda rows: list(rows)[1:])

    def scratch(name: str) -> Scratch:
        return Scratch(tmp_path / name, tmp_path / "retired", lambda: iter(()))

    found = {done.id: list(done.rows) for done in recipe.finished(list(recipe.fingerprints), scratch)}
    assert found == {"shard-00000-of-00002": [{"n": 2}, {"n": 4}], "shard-00001-of-00002": [{"n": 3}, {"n": 5}]}
    assert list(tmp_path.iterdir()) == [], "the spool is deleted"


@contextmanager
def open_files_of_at_most(count: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_table_may_have_more_shards_than_a_process_may_have_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "_BUFFER", 40_000)  # so that every file is opened several times
    names = shard_names(5_000)

    def stream() -> Iterator[tuple[str, Row]]:
        return ((names[n % 4_999], {"n": n}) for n in range(15_000))

    table = TableStore(tmp_path, "jsonl", SCHEMA, durable=False)
    with open_files_of_at_most(256):
        assert table.save(split_stream(stream, 5_000, by=None)) == 5_000
        shards = table.shards()
        assert [row["n"] for row in shards[names[7]].rows()] == [7, 5_006, 10_005]
        assert sum(row["n"] for row in shards.rows()) == sum(range(15_000))
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_stream_that_breaks_off_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "_BUFFER", 10)

    def stream() -> Iterator[tuple[str, Row]]:
        yield "shard-00000-of-00002", {"n": 123_456_789}
        raise ValueError("broken")

    table = TableStore(tmp_path, "jsonl", SCHEMA)
    with pytest.raises(ValueError, match="broken"):
        table.save(split_stream(stream, 2, by=None))
    assert not list(tmp_path.rglob("*.tmp"))
