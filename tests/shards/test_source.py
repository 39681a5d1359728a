from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omr_kedro.shards import BadInputError, Source, checked_text


def test_records_are_numbered_by_line_and_blank_lines_are_none(tmp_path: Path) -> None:
    path = tmp_path / "threads.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}\r\n')
    assert [(record.where, record.fields) for record in Source(path).records()] == [
        ("threads.jsonl:1", {"a": 1}),
        ("threads.jsonl:3", {"a": 2}),
    ]


def test_a_folder_is_read_in_the_order_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"n": 2}\n')
    (tmp_path / "a.jsonl").write_text('{"n": 1}\n')
    pq.write_table(pa.table({"n": [3]}), tmp_path / "c.parquet")
    (tmp_path / "notes.txt").write_text("no data")
    assert [record.fields for record in Source(tmp_path).records()] == [{"n": 1}, {"n": 2}, {"n": 3}]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a": 1', "malformed JSON"),
        (b"[1, 2]", "a JSON object is expected, this is a list"),
        (b'{"a": "\xff"}', "not UTF-8 (byte 7)"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b"NaN", "malformed JSON"),
    ],
)
def test_a_line_that_is_no_record_says_what_is_wrong_and_the_others_are_read(
    tmp_path: Path, line: bytes, problem: str
) -> None:
    path = tmp_path / "threads.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 3}\n')
    first, bad, last = Source(path).records()
    assert first.fields == {"a": 1}
    assert last.fields == {"a": 3}
    assert bad.where == "threads.jsonl:2"
    assert bad.fields is None
    assert problem in bad.problem


def test_files_that_are_missing_empty_or_of_another_kind_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "table.csv").touch()
    for name, complaint in [("empty.jsonl", "is empty"), ("none.jsonl", "There is no file"), ("table.csv", "ends in")]:
        with pytest.raises(BadInputError, match=complaint) as refused:
            list(Source(tmp_path / name).records())
        assert name in str(refused.value)


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "threads.jsonl"
    path.write_text('{"a": 1}\n')
    before = Source(path).digest()
    assert Source(path).digest() == before
    path.write_text('{"a": 2}\n')
    assert Source(path).digest() != before


@pytest.mark.parametrize(
    ("fields", "required", "wrong"),
    [
        ({}, True, "the field 'post' is missing"),
        ({"b": 1, "a\x1b[2J": 2}, True, "the field 'post' is missing (there are: a\\x1b[2J, b)"),
        (dict.fromkeys(map(str, range(30))), True, ", …)"),
        ({}, False, ""),
        ({"post": None}, False, ""),
        ({"post": "  \n"}, True, "the field 'post' is empty"),
        ({"post": ["x"]}, False, "the field 'post' must be text, this is a list"),
        ({"post": "a\x00b"}, True, "NUL"),
        ({"post": "x" * 11}, True, "has 11 characters, more than the 10 allowed"),
        ({"post": "fine"}, True, ""),
    ],
)
def test_a_text_field_is_checked(fields: dict[str, object], required: bool, wrong: str) -> None:
    _, problem = checked_text(fields, "post", required=required, max_chars=10)
    assert problem == wrong or (wrong and wrong in problem)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    count=st.integers(1, 12),
    row_group=st.integers(1, 50),
)
@settings(max_examples=60)
def test_parts_hold_every_record_once_in_order_and_know_its_place(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, sizes: list[int], count: int, row_group: int
) -> None:
    folder = tmp_path_factory.mktemp("source")
    for number, size in enumerate(sizes):
        rows: list[dict[str, Any]] = [{"n": row, "text": "é" * (row % 7) + "\n"} for row in range(size)]
        if suffix == "parquet":
            table = pa.Table.from_pylist(rows, pa.schema([("n", pa.int64()), ("text", pa.string())]))
            pq.write_table(table, folder / f"{number}.parquet", row_group_size=row_group)
        else:
            # Empty lines, and files that do not end in a line end.
            lines = [json.dumps(row, ensure_ascii=False) + "\n" * (1 + row["n"] % 2) for row in rows]
            (folder / f"{number}.jsonl").write_text("".join(lines).rstrip("\n"), encoding="utf-8")
    source = Source(folder)
    whole = list(source.records()) if any(sizes) else []
    parts = source.parts(count)
    assert len(parts) == count
    assert [record for part in parts for record in part.records()] == whole
    assert source.count() == len(whole) == sum(sizes)


def test_parts_of_a_large_file_are_of_about_one_size(tmp_path: Path) -> None:
    (tmp_path / "dump.jsonl").write_text("".join(f'{{"n": {n}, "text": "{"x" * 100}"}}\n' for n in range(4000)))
    sizes = [sum(1 for _ in part.records()) for part in Source(tmp_path / "dump.jsonl").parts(8)]
    assert sum(sizes) == 4000
    assert max(sizes) - min(sizes) <= 10


def test_only_wanted_columns_of_parquet_are_read_and_missing_ones_are_missing(tmp_path: Path) -> None:
    rows = [{"a": "x", "b": "y", "meta": {"date": "2020", "who": "me"}}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    (part,) = Source(tmp_path / "t.parquet").parts(1)
    assert [record.fields for record in part.records(["a", "meta.date", "none"])] == [
        {"a": "x", "meta": {"date": "2020"}}
    ]


def test_a_row_of_parquet_that_is_not_utf8_says_so_and_the_others_are_read(tmp_path: Path) -> None:
    texts = pa.array([b"good", b"\xff\xfe", b"fine"]).view(pa.string())
    pq.write_table(pa.table({"text": texts}), tmp_path / "t.parquet")
    records = list(Source(tmp_path / "t.parquet").records())
    assert [record.fields for record in records] == [{"text": "good"}, None, {"text": "fine"}]
    assert records[1].where == "t.parquet:row 2"
    assert "not UTF-8" in records[1].problem
