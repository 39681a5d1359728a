from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from omr_kedro.estimate.measured import call_means, row_rate
from omr_kedro.llm.calls import Completion
from omr_kedro.llm.calls.request import CallIdentity
from omr_kedro.shards import Row, TableStore
from omr_kedro.tables import COMPLETIONS
from tests.support import tables

IDS = pa.schema([("problem_id", pa.string())])


def write(
    data: Path, layer: str, workspace: str, name: str, rows: list[Row], schema: pa.Schema = COMPLETIONS
) -> TableStore:
    store = TableStore(data / layer / workspace / name, "jsonl", schema)
    store.save(tables.given(rows))
    return store


def calls(count: int, model: str = "m", prompt: str = "p", **values: Any) -> list[Row]:
    completion = Completion("k", model, "x", **{"prompt_tokens": 100, "completion_tokens": 7, **values})
    return [completion.row(CallIdentity(f"r{number}", "", 0, None, prompt)) for number in range(count)]


def ids(count: int) -> list[Row]:
    return [{"problem_id": f"p{number}"} for number in range(count)]


def test_means_are_of_calls_that_the_same_model_answered_in_any_workspace(tmp_path: Path) -> None:
    own = TableStore(tmp_path / "model_output/own/asked", "jsonl", COMPLETIONS)
    assert call_means(own, "m", "p", few=5) is None
    write(tmp_path, "model_output", "first", "asked", calls(9, model="other", completion_tokens=99))
    write(tmp_path, "model_output", "second", "asked", calls(4))
    write(tmp_path, "model_output", "third", "asked", [*calls(6), *calls(3, error_kind="timeout", completion_tokens=0)])
    means = call_means(own, "m", "p", few=5)
    assert means
    assert means.prompt_tokens
    assert (means.reply_tokens.value, means.reply_tokens.count, means.reply_tokens.where) == (7, 6, "third")
    assert means.prompt_tokens.value == 100


def test_prompts_of_another_text_say_nothing_of_this_one_but_its_replies_do(tmp_path: Path) -> None:
    own = write(tmp_path, "model_output", "own", "asked", calls(9, prompt="old"))
    means = call_means(own, "m", "new", few=5)
    assert means
    assert means.prompt_tokens is None
    assert means.reply_tokens.value == 7


def test_a_rate_is_that_of_shards_which_all_tables_have(tmp_path: Path) -> None:
    asked = write(tmp_path, "model_output", "own", "asked", calls(30))
    given = write(tmp_path, "intermediate", "own", "given", ids(30), IDS)
    kept = write(tmp_path, "intermediate", "own", "kept", ids(15), IDS)
    found = row_rate(kept, [given], [(asked, "m")], few=30)
    assert found
    assert (found.value, found.count) == (0.5, 30)
    (name,) = kept.written()[:1]
    (kept.folder / ".complete.json").unlink()
    (kept.folder / ".made" / f"{name}.json").unlink()
    found = row_rate(kept, [given], [(asked, "m")], few=20)
    assert found
    assert (found.value, found.count) == (0.5, 20)


def test_too_few_rows_or_another_model_measure_no_rate(tmp_path: Path) -> None:
    asked = write(tmp_path, "model_output", "own", "asked", calls(30))
    given = write(tmp_path, "intermediate", "own", "given", ids(30), IDS)
    kept = write(tmp_path, "intermediate", "own", "kept", ids(15), IDS)
    assert row_rate(kept, [given], [(asked, "m")], few=31) is None
    assert row_rate(kept, [given], [(asked, "another")], few=5) is None
