from __future__ import annotations

import errno
import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from omr_kedro.shards import TableBusyError
from omr_kedro.shards.files import delete_for_good, disk_full, remove_leftovers, sole_writer, whole_file, whole_lines


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"new, but only half", None])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_aside_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".table.jsonl.123.tmp"
    left.touch()
    remove_leftovers(tmp_path)
    assert not left.exists()


def test_several_tasks_may_delete_one_file_at_the_same_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".complete.json"
    path.touch()
    unlink = Path.unlink

    def after_another(self: Path, missing_ok: bool = False) -> None:
        unlink(self, missing_ok=True)
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", after_another)
    delete_for_good(path)
    assert not path.exists()


def _hold(folder: Path, ready: Connection) -> None:
    with sole_writer(folder):
        ready.send(os.getpid())
        ready.recv()


def test_a_second_writer_is_refused_until_the_first_is_gone_even_if_killed(tmp_path: Path) -> None:
    here, there = multiprocessing.Pipe()
    holder = multiprocessing.get_context("fork").Process(target=_hold, args=(tmp_path, there))
    holder.start()
    pid = here.recv()
    with pytest.raises(TableBusyError, match=f"process {pid} on "), sole_writer(tmp_path):
        pass
    holder.kill()
    holder.join()
    with sole_writer(tmp_path):
        pass


def test_lines_that_were_cut_or_damaged_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"a":1}\n\x00\x00\n{"a":\n[1]\n{"a":2}\n{"a":3}')
    assert list(whole_lines(path)) == [{"a": 1}, {"a": 2}]
    assert list(whole_lines(tmp_path / "none")) == []


def test_a_file_system_that_is_read_only_is_called_so_and_room_is_not_asked_for() -> None:
    full = disk_full(OSError(errno.EROFS, "Read-only file system"), "data/problems")
    assert full is not None
    assert "data/problems cannot be written: Read-only file system" in str(full)
    assert "mounted read-only" in str(full)
    assert "room" not in str(full)
