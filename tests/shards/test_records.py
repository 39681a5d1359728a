from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.shards import BadInputError, Source
from omr_kedro.shards.records import MAX_NESTING, MAX_RECORD_BYTES, _repeated_key
from tests.support.users import open_folder, somebody_else


def problems(path: Path) -> list[str]:
    return [record.problem for record in Source(path).records()]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", f"nested more than {MAX_NESTING} levels deep"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", f"nested more than {MAX_NESTING} levels deep"),
        (b'{"a":' + b"[" * 100_000, f"nested more than {MAX_NESTING} levels deep"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' stands there twice"),
        (b'{"a\\u001b": 1, "a\\u001b": 3}', "the key 'a\\x1b' stands there twice"),
        (b'{"a": {"b": 1, "\\u0062": 2}}', "the key 'b' stands there twice"),
        (b'{"a": 1e999}', "malformed JSON"),
        (b"\x00", "malformed JSON"),
    ],
)
def test_a_hostile_line_is_a_rejected_record_and_the_next_one_is_read(
    tmp_path: Path, line: bytes, problem: str
) -> None:
    bad, good = Source(written(tmp_path / "threads.jsonl", line + b'\n{"a": 2}\n')).records()
    assert bad.fields is None
    assert problem in bad.problem
    assert good.fields == {"a": 2}


@given(st.dictionaries(st.sampled_from(["a", "b", 'c"', "\n"]), st.sampled_from(["a", "b", {"a": "b"}, ["a"], 1])))
def test_keys_that_stand_once_are_never_called_repeated(fields: dict[str, object]) -> None:
    for separators in ((",", ":"), (" , ", " : ")):
        line = json.dumps(fields, separators=separators).encode()
        assert _repeated_key(line) is None


def test_a_line_without_end_is_rejected_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with path.open("wb") as file:
        file.write(b'{"a": "')
        for _ in range(300):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n{"a": 1}\n')
    code = (
        "import sys, resource; from pathlib import Path; from omr_kedro.shards import Source\n"
        "source = Source(Path(sys.argv[1])); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print([record.problem[:28] for record in source.records()], source.count())\n"
        "assert sum(1 for part in source.parts(3) for _ in part.records()) == 2\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    said, grown = done.stdout.splitlines()
    assert said == "['the line is longer than 32 M', ''] 2"
    # `ru_maxrss` is in kilobytes on Linux, in bytes on a Mac.
    assert int(grown) * (1024 if sys.platform == "linux" else 1) < 4 * MAX_RECORD_BYTES


def test_a_parquet_file_with_a_huge_row_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"a": ["x" * (40 << 20)], "b": ["y"]}), path)
    with pytest.raises(BadInputError, match=r"bomb.parquet: row group 1 has 4\d MB in 1 rows"):
        problems(path)
    assert [record.fields for record in Source(path).records(["b"])] == [{"b": "y"}]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([2**62, 1], pa.timestamp("us")),
        ([2**31 - 1, 1], pa.date32()),
        ([2**62, 1], pa.duration("s")),
    ],
)
def test_a_date_out_of_range_costs_its_own_row(tmp_path: Path, values: list[int], kind: pa.DataType) -> None:
    path = tmp_path / "dates.parquet"
    pq.write_table(pa.table({"when": pa.array(values, kind), "text": ["x", "y"]}), path)
    bad, good = Source(path).records()
    assert "out of range" in bad.problem
    assert good.fields is not None
    assert good.fields["text"] == "y"


def test_an_unknown_time_zone_does_not_advise_to_install_anything(tmp_path: Path) -> None:
    path = tmp_path / "zone.parquet"
    pq.write_table(pa.table({"when": pa.array([1], pa.timestamp("us", tz="No/Where"))}), path)
    (problem,) = problems(path)
    assert "a time zone that is not known" in problem
    assert "install" not in problem


def test_damaged_pages_deep_types_and_repeated_columns_are_explained(tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    pq.write_table(pa.table({"a": ["x" * 1000] * 5000}), whole, compression="none", use_dictionary=False)
    content = bytearray(whole.read_bytes())
    content[4:60] = b"\xff" * 56
    deep: pa.DataType = pa.int64()
    value: object = 1
    for _ in range(120):
        deep, value = pa.struct([("a", deep)]), {"a": value}
    pq.write_table(pa.table({"a": pa.array([value], deep)}), tmp_path / "deep.parquet")
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "twice.parquet")
    written(tmp_path / "damaged.parquet", bytes(content))
    written(tmp_path / "cut.parquet", whole.read_bytes()[:5000])
    for name, complaint in [
        ("damaged", "cannot be read as Parquet"),
        ("cut", "cannot be read as Parquet"),
        ("deep", "too deeply nested"),
        ("twice", "the column 'a' is there twice"),
    ]:
        with pytest.raises(BadInputError, match=complaint) as refused:
            problems(tmp_path / f"{name}.parquet")
        assert f"{name}.parquet" in str(refused.value)
        assert ".." not in str(refused.value).replace(str(tmp_path), "")


def test_pipes_broken_links_and_folders_are_named_with_what_is_wrong(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x.jsonl").mkdir()
    for name, complaint in [
        ("pipe.jsonl", "pipe.jsonl is no regular file"),
        ("link.jsonl", "link.jsonl is a link to a file that is not there"),
        ("folder", "x.jsonl is no regular file"),
    ]:
        with pytest.raises(BadInputError, match=complaint):
            problems(tmp_path / name)


def test_names_of_files_are_printed_harmlessly(tmp_path: Path) -> None:
    path = written(tmp_path / "a\x1b[31m\u202e.jsonl", b"[]\n")
    (record,) = Source(path).records()
    assert record.where == "a\\x1b[31m\\u202e.jsonl:1"
    with pytest.raises(BadInputError) as refused:
        problems(tmp_path / "b\x1b[2J.jsonl")
    assert "\x1b" not in str(refused.value)


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl"))
    try:
        written(path, b'{"a": 1}\n')
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    with pytest.raises(BadInputError, match="is not UTF-8"):
        problems(tmp_path)


def test_a_file_that_one_may_not_read_is_explained() -> None:
    with open_folder() as folder:
        path = written(folder / "secret.jsonl", b"{}\n")
        path.chmod(0)
        with somebody_else(), pytest.raises(BadInputError, match="Permission denied"):
            problems(path)
