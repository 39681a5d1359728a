"""Bit rot and edits by hand: told in a sentence, kept aside, and healed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from omr_kedro.shards import ChangedTableError, DamagedTableError, Row, TableStore
from omr_kedro.shards.errors import MissingTableError
from omr_kedro.shards.files import whole_lines
from omr_kedro.shards.formats import Format, is_damage
from omr_kedro.shards.integrity import Integrity
from tests.support.damage import files_below, flip
from tests.support.tables import Given, given

SCHEMA = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("text", pa.string())])
FORMATS: list[Format] = ["jsonl", "parquet"]
ROWS: list[Row] = [{"id": number, "text": f"text {number} " * 5} for number in range(6)]
SECOND = "shard-00001-of-00003"


def store(folder: Path, format: Format = "jsonl", integrity: Integrity = "once") -> TableStore:
    return TableStore(folder, format, SCHEMA, integrity=integrity)


def finished(folder: Path, format: Format = "jsonl") -> TableStore:
    store(folder, format).save(given(ROWS))
    return store(folder, format)


def rows_of(table: TableStore) -> list[list[Row]]:
    return [list(shard.rows()) for shard in table.shards().values()]


def edit(path: Path, *, quietly: bool = False) -> bytes:
    """Change a byte in the middle, as a disk does (`quietly`) or a person; returns the new content."""
    before = path.stat()
    flip(path, before.st_size // 2)
    if quietly:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return path.read_bytes()


def of_an_earlier_version(folder: Path) -> None:
    """Make the marks those of a version that knew no checksums."""

    def stripped(mark: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in mark.items() if name not in ("checksum", "seal")}

    for path in (folder / ".made").iterdir():
        path.write_bytes(orjson.dumps(stripped(orjson.loads(path.read_bytes()))))
    complete = folder / ".complete.json"
    marks = orjson.loads(complete.read_bytes())
    complete.write_bytes(orjson.dumps({name: stripped(mark) for name, mark in marks.items()}))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("version", ["now", "earlier"])
def test_a_change_that_leaves_the_size_is_told_kept_aside_and_healed(
    tmp_path: Path, format: Format, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = rows_of(finished(tmp_path, format))
    if version == "earlier":
        of_an_earlier_version(tmp_path)
    path = tmp_path / f"{SECOND}.{format}"
    edited = edit(path)
    again = given(ROWS)
    assert store(tmp_path, format).save(again) == 1
    assert again.made == [SECOND]
    assert rows_of(store(tmp_path, format)) == whole
    kept = tmp_path / ".damaged" / path.name
    assert kept.read_bytes() == edited
    (told,) = [record.getMessage() for record in caplog.records]
    assert str(path) in told
    assert "holds other bytes than were written" in told
    assert str(kept) in told


@pytest.mark.parametrize("format", FORMATS)
def test_marks_of_an_earlier_version_are_believed_and_nothing_is_made_again(tmp_path: Path, format: Format) -> None:
    whole = rows_of(finished(tmp_path, format))
    of_an_earlier_version(tmp_path)
    assert store(tmp_path, format).save(given(ROWS)) == 0
    assert rows_of(store(tmp_path, format)) == whole


def test_each_file_that_is_kept_aside_has_a_name_of_its_own(tmp_path: Path) -> None:
    finished(tmp_path)
    path = tmp_path / f"{SECOND}.jsonl"
    edits = []
    for place in (3, 4, 5):
        flip(path, place)
        edits.append(path.read_bytes())
        store(tmp_path).save(given(ROWS))
    kept = {file.read_bytes() for file in (tmp_path / ".damaged").iterdir()}
    assert kept == set(edits)
    assert len(kept) == 3
    assert all(file.name.startswith(SECOND) for file in (tmp_path / ".damaged").iterdir())


def test_an_edit_by_hand_is_kept_also_when_the_shard_would_be_made_anew_for_another_reason(tmp_path: Path) -> None:
    finished(tmp_path)
    edited = edit(tmp_path / f"{SECOND}.jsonl")
    store(tmp_path).save(given([{**row, "text": "other inputs"} for row in ROWS]))
    assert (tmp_path / ".damaged" / f"{SECOND}.jsonl").read_bytes() == edited


def test_a_part_of_a_table_is_healed_as_well(tmp_path: Path) -> None:
    whole = rows_of(finished(tmp_path))
    edited = edit(tmp_path / f"{SECOND}.jsonl")
    assert store(tmp_path).pending(given(ROWS)) == [SECOND]
    assert store(tmp_path).save_part(given(ROWS)) == 1
    store(tmp_path).conclude(given(ROWS))
    assert rows_of(store(tmp_path)) == whole
    assert (tmp_path / ".damaged" / f"{SECOND}.jsonl").read_bytes() == edited


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("read", ["rows", "column"])
def test_a_damaged_input_ends_in_a_sentence_that_names_the_file(tmp_path: Path, format: Format, read: str) -> None:
    table = finished(tmp_path, format)
    edit(tmp_path / f"{SECOND}.{format}")
    shard = table.shards()[SECOND]
    with pytest.raises(
        DamagedTableError, match=rf"{SECOND}\.{format} holds other bytes .* Run the pipeline that makes"
    ):
        list(shard.rows() if read == "rows" else shard.column("text"))
    (tmp_path / f"{SECOND}.{format}").unlink()
    with pytest.raises(DamagedTableError, match="is gone"):
        list(shard.rows())


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_is_not_compared_and_cannot_be_read_ends_in_a_sentence_too(tmp_path: Path, format: Format) -> None:
    finished(tmp_path, format)
    path = tmp_path / f"{SECOND}.{format}"
    path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(DamagedTableError, match="cannot be read"):
        list(store(tmp_path, format, "never").shards()[SECOND].rows())


def test_a_file_is_compared_once_in_a_process_or_always_or_never(tmp_path: Path) -> None:
    tables: dict[Integrity, TableStore] = {
        each: store(tmp_path, integrity=each) for each in ("once", "always", "never")
    }
    finished(tmp_path)
    shards = {each: table.shards()[SECOND] for each, table in tables.items()}
    for shard in shards.values():
        list(shard.rows())
    path = tmp_path / f"{SECOND}.jsonl"
    content = path.read_bytes()
    before = path.stat()
    with path.open("r+b") as file:  # the same file, as a disk would have it
        file.write(content.replace(b"text 1", b"TEXT 1"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for each in ("once", "never"):
        assert "TEXT" in next(shards[each].rows())["text"]
    with pytest.raises(DamagedTableError):
        list(shards["always"].rows())
    assert tables["never"].pending(given(ROWS)) == []
    assert store(tmp_path).pending(given(ROWS)) == [SECOND]


COMPLETE_FILES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "NULs": lambda content: b"\0" * len(content),
    "a list": lambda _: b"[1, 2]",
    "other fields": lambda _: b'{"shard-00000-of-00003": {"rows": 2}}',
    "numbers for marks": lambda _: b'{"shard-00000-of-00003": 7}',
    "a path": lambda content: content.replace(b"shard-00000", b"../rd-00000"),
    "another count of rows": lambda content: content.replace(b'"rows":2', b'"rows":9', 1),
}


@pytest.mark.parametrize("damage", COMPLETE_FILES)
def test_marks_of_a_whole_table_that_cannot_be_read_are_taken_from_the_single_ones(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = rows_of(finished(tmp_path))
    complete = tmp_path / ".complete.json"
    before = complete.read_bytes()
    complete.write_bytes(COMPLETE_FILES[damage](before))
    table = store(tmp_path)
    assert rows_of(table) == whole
    assert table.save(given(ROWS)) == 0
    assert complete.read_bytes() == before
    assert [record.getMessage() for record in caplog.records] == [
        f"{complete} is damaged; the marks of the single shards stand in for it."
    ]


def test_marks_of_a_whole_table_that_are_missing_are_written_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    whole = rows_of(finished(tmp_path))
    (tmp_path / ".complete.json").unlink()
    assert store(tmp_path).save(given(ROWS)) == 0
    assert rows_of(store(tmp_path)) == whole
    (told,) = [record.getMessage() for record in caplog.records]
    assert told == f"{tmp_path / '.complete.json'} is written anew from the marks of the single shards."


def test_single_marks_that_cannot_be_read_are_taken_from_those_of_the_whole_table(tmp_path: Path) -> None:
    whole = rows_of(finished(tmp_path))
    (tmp_path / ".made" / f"{SECOND}.json").write_bytes(b"\0" * 50)
    assert list(store(tmp_path).part([SECOND]).rows()) == whole[1]


def test_a_table_whose_marks_are_all_damaged_is_not_there(tmp_path: Path) -> None:
    finished(tmp_path)
    (tmp_path / ".complete.json").write_bytes(b"")
    (tmp_path / ".made" / f"{SECOND}.json").write_bytes(b"")
    with pytest.raises(MissingTableError, match="was not finished"):
        store(tmp_path).shards()
    again = given(ROWS)
    assert store(tmp_path).save(again) == 1
    assert again.made == [SECOND]


@pytest.mark.parametrize("integrity", ["once", "never"])
def test_a_table_that_another_run_makes_anew_is_not_read_on(tmp_path: Path, integrity: Integrity) -> None:
    finished(tmp_path)
    shards = store(tmp_path, integrity=integrity).shards()
    (tmp_path / ".lock").write_text("process 4711 on elsewhere")
    reading = shards[SECOND].rows()
    next(reading)
    other = given([{**row, "text": str(row["text"]).upper() + integrity} for row in ROWS])
    store(tmp_path).save(other)
    (tmp_path / ".lock").write_text("process 4711 on elsewhere")
    for rows in (reading, shards[SECOND].rows()):
        with pytest.raises(ChangedTableError, match=r"made anew while .* process 4711 on elsewhere: two runs of one"):
            list(rows)


def test_a_table_that_another_run_has_opened_again_names_that_run(tmp_path: Path) -> None:
    finished(tmp_path)
    refused: list[str] = []

    def look(name: str) -> None:
        del name
        (tmp_path / ".lock").write_text("process 4711 on elsewhere\x1b[2J")
        with pytest.raises(MissingTableError) as caught:
            store(tmp_path).shards()
        refused.append(str(caught.value))

    changed = given([{**row, "text": "other prompt"} for row in ROWS])
    store(tmp_path).save(Given(changed.rows, before=look))
    assert "The last to write it was process 4711 on elsewhere\\x1b[2J: two runs of one workspace" in refused[0]


@settings(max_examples=150, deadline=None)
@for_all(st.integers(0, 99), st.integers(0, 2**16), st.integers(1, 255), st.sampled_from(FORMATS))
def test_whatever_byte_of_a_table_changes_the_next_save_ends_with_the_same_table(
    tmp_path_factory: pytest.TempPathFactory, number: int, place: int, mask: int, format: Format
) -> None:
    folder = tmp_path_factory.mktemp("table")
    whole = rows_of(finished(folder, format))
    files = [file for file in files_below(folder) if file.stat().st_size]
    path = files[number % len(files)]
    flip(path, place % path.stat().st_size, mask)
    again = given(ROWS)
    store(folder, format).save(again)
    assert rows_of(store(folder, format)) == whole
    assert len(again.made) <= 1
    assert store(folder, format).save(given(ROWS)) == 0


@pytest.mark.parametrize(
    ("error", "speaks_of_the_file"),
    [
        (OSError("Couldn't deserialize thrift"), True),  # as Arrow says it
        (OSError(errno.EIO, "Input/output error"), True),
        (ValueError("no JSON"), True),
        (OSError(errno.EMFILE, "Too many open files"), False),
        (PermissionError(errno.EACCES, "Permission denied"), False),
        (ZeroDivisionError(), False),
    ],
)
def test_errors_of_the_system_are_no_damage_that_would_be_paid_for_again(
    error: Exception, speaks_of_the_file: bool
) -> None:
    assert is_damage(error) is speaks_of_the_file


def test_lines_whose_ends_were_damaged_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    rows = [{"text": 'a } , {" b'}, {"list": [{"a": 1}, {"b": 2}]}, {"c": 3}]
    whole = b"\n".join(map(orjson.dumps, rows)) + b"\n"
    for place in [at for at, byte in enumerate(whole) if byte == ord("\n")]:
        for other in b"x}{,\0":
            path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
            assert list(whole_lines(path)) == rows
