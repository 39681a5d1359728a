"""Replies that were paid for, in files that a disk or a person has changed: what can be read is never asked again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omr_kedro import tables
from omr_kedro.llm.engine import PaidCalls
from omr_kedro.shards import Row, TableStore
from omr_kedro.shards.formats import FORMATS, Format
from tests.support.call_plans import asked, call_plan, echo, texts
from tests.support.chat_server import ChatServer
from tests.support.damage import files_below, flip

SHARD = "shard-00000-of-00001"
TEXTS = texts(6)


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with ChatServer(echo) as running:
        yield running


def table(folder: Path, format: Format = "jsonl") -> TableStore:
    return TableStore(folder, format, tables.COMPLETIONS)


def save(folder: Path, server: ChatServer, format: Format = "jsonl") -> list[str]:
    """What a run asks."""
    before = len(server.calls)
    table(folder, format).save(call_plan(server, {SHARD: TEXTS}))
    return asked(server)[before:]


def rows(folder: Path, format: Format = "jsonl") -> list[Row]:
    return list(table(folder, format).shards().rows())


def replies(folder: Path, format: Format = "jsonl") -> list[tuple[str, str]]:
    return [(row["row_id"], row["text"]) for row in rows(folder, format)]


def replace_in(path: Path, old: bytes, new: bytes) -> bytes:
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    return path.read_bytes()


def test_a_reply_that_was_changed_is_asked_again_and_no_other(
    tmp_path: Path, server: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert save(tmp_path, server) == TEXTS
    whole = replies(tmp_path)
    edited = replace_in(tmp_path / f"{SHARD}.jsonl", b"re question 3", b"re QUESTION 3")
    assert save(tmp_path, server) == ["question 3"]
    assert replies(tmp_path) == whole
    assert (tmp_path / ".damaged" / f"{SHARD}.jsonl").read_bytes() == edited
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 2
    assert "holds other bytes than were written" in told[0]
    assert told[1] == f"test, {SHARD}: 5 replies of the damaged shard are there still, 1 are asked again."


def test_a_number_that_was_changed_becomes_unknown_and_nothing_is_asked(tmp_path: Path, server: ChatServer) -> None:
    save(tmp_path, server)
    path = tmp_path / f"{SHARD}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"prompt_tokens":10', b'"prompt_tokens":70')
    path.write_bytes(b"".join(lines))
    assert save(tmp_path, server) == []
    assert [row["prompt_tokens"] for row in rows(tmp_path)] == [10, 10, 0, 10, 10, 10]


def test_a_changed_file_is_not_believed_when_the_table_is_completed_without_its_model(
    tmp_path: Path, server: ChatServer
) -> None:
    save(tmp_path, server)
    whole = replies(tmp_path)
    replace_in(tmp_path / f"{SHARD}.jsonl", b"re question 3", b"re QUESTION 3")
    flip(tmp_path / f"{SHARD}.jsonl", -1)  # the end of the last line, which hides nothing
    journal = tmp_path / ".retired" / f"{SHARD}.jsonl"
    journal.parent.mkdir(exist_ok=True)
    save_elsewhere = tmp_path.parent / "elsewhere"
    save(save_elsewhere, server)
    shutil.copy(save_elsewhere / f"{SHARD}.jsonl", journal)
    table(tmp_path).save(PaidCalls(call_plan(server, {SHARD: TEXTS})))
    assert replies(tmp_path) == whole


def test_rows_of_an_earlier_version_have_no_checksum_and_are_taken_as_they_are(
    tmp_path: Path, server: ChatServer
) -> None:
    plan = call_plan(server, {SHARD: TEXTS})
    earlier = tables.COMPLETIONS.remove(tables.COMPLETIONS.get_field_index("checksum"))
    save(tmp_path / "now", server)
    bare = [{name: row[name] for name in earlier.names} for row in rows(tmp_path / "now")]
    folder = tmp_path / ".open"
    folder.mkdir()
    (folder / f"{SHARD}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in bare))
    before = len(server.calls)
    table(tmp_path).save(plan)
    assert len(server.calls) == before
    assert rows(tmp_path) == rows(tmp_path / "now"), "and get one"


def test_row_groups_behind_a_damaged_one_are_read(tmp_path: Path, server: ChatServer) -> None:
    save(tmp_path, server, "parquet")
    path = tmp_path / f"{SHARD}.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=2, compression="zstd", use_dictionary=False)
    group = pq.ParquetFile(path).metadata.row_group(1)
    column = next(group.column(n) for n in range(group.num_columns) if group.column(n).path_in_schema == "text")
    content = bytearray(path.read_bytes())
    content[column.data_page_offset : column.data_page_offset + column.total_compressed_size] = bytes(
        column.total_compressed_size
    )
    path.write_bytes(content)
    assert save(tmp_path, server, "parquet") == TEXTS[2:4]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 99), st.integers(0, 2**16), st.integers(1, 255), st.sampled_from(FORMATS), st.booleans())
def test_whatever_byte_of_what_was_paid_for_changes_at_most_one_reply_is_asked_again(
    tmp_path_factory: pytest.TempPathFactory,
    server: ChatServer,
    number: int,
    place: int,
    mask: int,
    format: Format,
    in_journal: bool,
) -> None:
    folder = tmp_path_factory.mktemp("table")
    save(folder, server, format)
    whole = replies(folder, format)
    if in_journal:  # as a run that was killed leaves it
        lines = b"".join(orjson.dumps(row) + b"\n" for row in rows(folder, format))
        shutil.rmtree(folder)
        (folder / ".open").mkdir(parents=True)
        (folder / ".open" / f"{SHARD}.jsonl").write_bytes(lines)
    files = [file for file in files_below(folder) if file.stat().st_size]
    path = files[number % len(files)]
    flip(path, place % path.stat().st_size, mask)
    again = save(folder, server, format)
    assert replies(folder, format) == whole
    # Of Parquet a byte may be what all else is read by.
    assert len(again) <= (len(TEXTS) if path.suffix == ".parquet" else 1)
    assert save(folder, server, format) == []
