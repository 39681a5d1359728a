"""Side files: hidden from libraries, and found in tables that were written before they were."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from omr_kedro.shards import Row, TableBusyError, TableStore
from omr_kedro.shards.files import whole_lines
from omr_kedro.shards.side_files import side
from tests.support.tables import Given, given
from tests.support.waiting import wait_until

SCHEMA = pa.schema([("name", pa.string())])
ROWS: list[Row] = [{"name": "a"}, {"name": "b"}, {"name": "c"}]
SIDE_FILES = ("made", "open", "retired", "damaged", "complete.json", "lock")


def store(folder: Path) -> TableStore:
    return TableStore(folder, "jsonl", SCHEMA)


def as_before(folder: Path) -> None:
    """Rename the side files to the names that they had once."""
    for name in SIDE_FILES:
        if (folder / f".{name}").exists():
            (folder / f".{name}").rename(folder / f"_{name}")


def written_before(folder: Path) -> Given:
    """A table of the former kind, with a journal of a shard that was begun, and its recipe."""
    recipe = given(ROWS)
    store(folder).save(recipe)
    (folder / ".open").mkdir(exist_ok=True)
    (folder / ".open/shard-00000-of-00003.jsonl").write_bytes(b'{"call": 1}\n')
    as_before(folder)
    assert (folder / "_made").is_dir()
    recipe.made.clear()
    return recipe


def test_only_rows_are_in_sight(tmp_path: Path) -> None:
    store(tmp_path).save(given(ROWS))
    assert {path.suffix for path in tmp_path.iterdir() if path.name[0] != "."} == {".jsonl"}


def test_a_table_that_was_written_before_is_read_as_it_is(tmp_path: Path) -> None:
    recipe = written_before(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    table = store(tmp_path)
    assert list(table.shards().rows()) == ROWS
    assert table.pending(recipe) == []
    assert table.opened() == ["shard-00000-of-00003"]
    assert len(list(whole_lines(table.scratch("shard-00000-of-00003").open))) == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("save", [TableStore.save, TableStore.save_part, TableStore.conclude])
def test_whoever_writes_moves_the_side_files_and_makes_nothing_anew(
    tmp_path: Path, save: Callable[[TableStore, Given], object]
) -> None:
    recipe = written_before(tmp_path)
    save(store(tmp_path), recipe)
    assert recipe.made == []
    assert not list(tmp_path.glob("_*"))
    assert list(store(tmp_path).shards().rows()) == ROWS
    assert store(tmp_path).opened() == ["shard-00000-of-00003"]


@pytest.mark.parametrize("moved", range(len(SIDE_FILES)))
def test_a_move_that_was_cut_short_loses_nothing(tmp_path: Path, moved: int) -> None:
    recipe = written_before(tmp_path)
    for name in SIDE_FILES[:moved]:
        if (tmp_path / f"_{name}").exists():
            (tmp_path / f"_{name}").rename(tmp_path / f".{name}")
    assert list(store(tmp_path).shards().rows()) == ROWS
    assert store(tmp_path).save(recipe) == 0
    assert not list(tmp_path.glob("_*"))


def test_a_version_that_was_at_work_again_loses_no_call(tmp_path: Path) -> None:
    recipe = written_before(tmp_path)
    store(tmp_path).save(recipe)
    (tmp_path / "_open").mkdir()
    (tmp_path / "_open/shard-00000-of-00003.jsonl").write_bytes(b'{"call": 2}\n')
    (tmp_path / "_open/shard-00001-of-00003.jsonl").write_bytes(b'{"call": 3}\n')
    store(tmp_path).save(recipe)
    calls = [row["call"] for path in sorted((tmp_path / ".open").iterdir()) for row in whole_lines(path)]
    assert calls == [1, 2, 3]


def test_a_process_of_that_version_is_waited_for(tmp_path: Path) -> None:
    recipe = written_before(tmp_path)
    with (tmp_path / "_lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        writer = threading.Thread(target=store(tmp_path).save, args=[recipe])
        writer.start()
        # It holds the present lock, and waits for the former one.
        wait_until(lambda: (tmp_path / ".lock").exists() and (tmp_path / ".lock").read_text())
        assert (tmp_path / "_made").is_dir()
        with pytest.raises(TableBusyError):
            store(tmp_path).save(recipe)
    writer.join()
    assert side(tmp_path, ".made") == tmp_path / ".made"
    assert not list(tmp_path.glob("_*"))
