from __future__ import annotations

from pathlib import Path
from typing import Literal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omr_kedro.shards import TableStore
from omr_kedro.shards.search import find_rows
from tests.support import tables

SCHEMA = pa.schema([("thread_id", pa.string()), ("problem_id", pa.string()), ("problem", pa.string())])

ids = st.text("ab", min_size=1, max_size=4)
tricky = st.sampled_from(['"problem_id":"ab', '\\"problem_id":"ab"', 'x\n{"problem_id":"a"}', "", "ä∑"])
rows = st.fixed_dictionaries({"thread_id": ids, "problem_id": ids, "problem": tricky | st.text(max_size=20)})


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@given(some=st.lists(rows, max_size=12), prefix=ids)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_a_search_finds_the_rows_whose_id_begins_so_whatever_their_texts_hold(
    tmp_path_factory: pytest.TempPathFactory, kind: Literal["jsonl", "parquet"], some: list[dict[str, str]], prefix: str
) -> None:
    store = TableStore(tmp_path_factory.mktemp("table"), kind, SCHEMA)
    dealt = tables.given(some)
    store.save(dealt)
    found = [(shard, row["problem_id"]) for shard, row in find_rows(store, "problem_id", prefix, ["problem_id"])]
    expected = [
        (name, row["problem_id"])
        for name, dealt_rows in sorted(dealt.rows.items())
        for row in dealt_rows
        if row["problem_id"].startswith(prefix)
    ]
    assert found == expected


def test_a_table_that_was_never_written_holds_nothing(tmp_path: Path) -> None:
    store = TableStore(tmp_path / "none", "jsonl", SCHEMA)
    assert list(find_rows(store, "problem_id", "a", ["problem_id"])) == []


def test_a_search_finds_rows_in_the_format_that_the_table_had_before(tmp_path: Path) -> None:
    rows = [{"thread_id": "a", "problem_id": "ab", "problem": "x"}]
    TableStore(tmp_path, "jsonl", SCHEMA).save(tables.given(rows, 1))
    found = find_rows(TableStore(tmp_path, "parquet", SCHEMA), "problem_id", "a", ["problem_id"])
    assert list(found) == [("shard-00000-of-00001", rows[0])]
