"""The trials prove something only if their disk loses what a real one may lose."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from trials.child import Child, Ending
from trials.disk import Disk, Fault, How

from omr_kedro.shards.files import delete_for_good, make_folder, whole_file


def struck(folder: Path, how: How, at: int, work: Callable[[], object], seed: str = "") -> Ending:
    """What became of work whose disk failed at an operation."""
    folder.mkdir(exist_ok=True)

    def watched(tell: Callable[[object], None]) -> None:
        Disk(folder, Fault(at, how), seed, tell).watch()
        work()

    ending = Child(watched, folder.with_suffix(".log")).wait()
    assert ending
    return ending


def write(path: Path, content: bytes, *, sync: bool) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        if sync:
            os.fsync(file.fileno())


@pytest.mark.parametrize(("how", "size"), [("before", 0), ("after", 100), ("torn", 50)])
def test_a_process_dies_before_after_or_in_the_middle_of_a_write(tmp_path: Path, how: How, size: int) -> None:
    path = tmp_path / "data" / "file"
    ending = struck(path.parent, how, 2, lambda: write(path, b"x" * 100, sync=False))
    assert (ending.status, ending.told) == (-signal.SIGKILL, ["write"])
    assert path.stat().st_size in range(100) if how == "torn" else path.stat().st_size == size


def test_a_full_disk_refuses_with_the_error_of_the_kernel_and_a_kept_part(tmp_path: Path) -> None:
    path = tmp_path / "data" / "file"
    ending = struck(path.parent, "full", 2, lambda: write(path, b"x" * 100, sync=False))
    assert ending.error
    assert "No space left on device" in ending.error["text"]
    assert ending.error["explained"]
    assert path.stat().st_size < 100


def left_by_power_cuts(folder: Path, work: Callable[[Path], object]) -> list[dict[str, bytes]]:
    """The files that may be left when the power goes right after `work`, as twenty cuts show them."""
    (folder / "calm").mkdir()
    counted = Child(lambda tell: _count(folder / "calm", work, tell), folder / "log").wait()
    assert counted
    assert counted.status == 0
    left = []
    for seed in range(20):
        place = folder / str(seed)
        place.mkdir()

        def cut(place: Path = place) -> None:
            work(place)
            (place / "too late").mkdir()

        assert struck(place, "power", counted.notes[-1] + 1, cut, str(seed)).status == -signal.SIGKILL
        left.append({p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*") if p.is_file()})
    return left


def _count(folder: Path, work: Callable[[Path], object], tell: Callable[[object], None]) -> None:
    disk = Disk(folder)
    disk.watch()
    work(folder)
    tell(disk.operations)


def test_a_power_cut_may_take_what_was_not_synced(tmp_path: Path) -> None:
    left = left_by_power_cuts(tmp_path, lambda place: write(place / "file", b"x" * 100, sync=False))
    found = {files.get("file") for files in left}
    assert None in found, "the name was not synced"
    assert {len(content) for content in found if content is not None} - {100}, "nor were the bytes"
    assert any(b"\0" in content for content in found if content), "and blocks may be there without their bytes"


def test_a_synced_file_may_lose_its_name_with_its_folder(tmp_path: Path) -> None:
    left = left_by_power_cuts(tmp_path, lambda place: write(place / "file", b"x" * 100, sync=True))
    assert {files.get("file") for files in left} == {None, b"x" * 100}


def test_a_renamed_file_may_have_its_old_name_again(tmp_path: Path) -> None:
    def rename(place: Path) -> None:
        with whole_file(place / "new"):
            pass
        (place / "new").replace(place / "newer")

    assert {tuple(files) for files in left_by_power_cuts(tmp_path, rename)} == {("new",), ("newer",)}


def test_no_power_cut_takes_what_was_written_for_good(tmp_path: Path) -> None:
    def replace(place: Path) -> None:
        make_folder(place / "a" / "b")
        for content in (b"old", b"new"):
            with whole_file(place / "a" / "b" / "file") as file:
                file.write(content)
        with whole_file(place / "gone"):
            pass
        delete_for_good(place / "gone")

    assert all(files == {"a/b/file": b"new"} for files in left_by_power_cuts(tmp_path, replace))
