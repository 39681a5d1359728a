"""Rows name the model that answered beside the one that was asked, and rows of before are good as they are."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import pytest

from omr_kedro import tables
from omr_kedro.llm.engine.model_entry import names_clash
from omr_kedro.shards import Check, Finished, Row, Scratch, TableStore, accept
from tests.support.call_plans import asked, call_plan, rows, table, texts
from tests.support.chat_server import ChatServer, completion

FORMER = tables.COMPLETIONS.remove(tables.COMPLETIONS.get_field_index("asked_model"))


@dataclass(frozen=True)
class Given:
    """A table of one shard whose rows are there already."""

    rows: Sequence[Row]
    fingerprints: Mapping[str, str]
    check: Check = accept

    def finished(self, pending: Sequence[str], scratch: Callable[[str], Scratch]) -> Generator[Finished, None, None]:
        yield Finished("a", iter(self.rows), settled=True)


def without_new_column(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "asked_model"}


def test_rows_hold_both_names_and_a_clash_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ChatServer(lambda _: completion("fine", model="another\x1b[2J-model")) as server:
        table(tmp_path).save(call_plan(server, {"a": texts(5), "b": texts(5)}))
    assert {(row["model"], row["asked_model"]) for row in rows(tmp_path)} == {("another\x1b[2J-model", "m")}
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "m was asked, and the endpoint says that another\\x1b[2J-model answers" in told


def test_a_server_that_names_no_model_is_taken_at_its_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ChatServer(lambda _: completion("fine")) as server:
        table(tmp_path).save(call_plan(server, {"a": texts(2)}))
    assert {(row["model"], row["asked_model"]) for row in rows(tmp_path)} == {("m", "m")}
    assert "was asked" not in caplog.text


@pytest.mark.parametrize("where", ["table", "journal"])
def test_a_workspace_from_before_the_column_asks_nothing_again(tmp_path: Path, where: str) -> None:
    with ChatServer() as server:
        plan = call_plan(server, {"a": texts(4)})
        table(tmp_path / "new").save(plan)
        before = [without_new_column(row) for row in rows(tmp_path / "new")]
        if where == "table":
            TableStore(tmp_path / "table", "jsonl", FORMER).save(Given(before, plan.fingerprints))
        else:
            journal = table(tmp_path).scratch("a").open
            journal.parent.mkdir(parents=True)
            journal.write_bytes(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in before))
        assert table(tmp_path).save(replace(plan)) == 1, "the table has a new column"
    assert len(asked(server)) == 4
    assert [without_new_column(row) for row in rows(tmp_path)] == before
    assert {row["asked_model"] for row in rows(tmp_path)} == {None}


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", False),
        ("llama3", "llama3:latest", False),
        ("Qwen/Qwen2.5-7B", "/models/qwen2.5-7b.gguf", False),
        ("nvidia/nemotron", "nemotron", False),
        ("m", "m", False),
        ("gpt-4", "gpt-4o", True),
        ("qwen2", "qwen2.5", True),
        ("mine", "yours", True),
    ],
)
def test_names_of_one_model_are_told_from_those_of_two(one: str, other: str, clash: bool) -> None:
    assert names_clash(one, other) is names_clash(other, one) is clash
