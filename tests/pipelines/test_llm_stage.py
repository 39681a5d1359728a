from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.llm.calls import Completion, TooManyFailuresError
from omr_kedro.pipelines.llm_stage import Dropped, Failed, Kept, Outcome, settle, sole_reply
from omr_kedro.shards import Row, Shards, TableStore, accept
from omr_kedro.tables import DROPPED
from tests.support.tables import rows_made, shards_of

replies = st.builds(
    Completion,
    call_key=st.just("k"),
    model=st.just("m"),
    text=st.sampled_from(["keep", "drop", "fail", "other"]),
    finish_reason=st.sampled_from(["stop", "length", None]),
    error_kind=st.sampled_from([None, None, "timeout"]),
)


def read(row: Row, completions: list[Completion]) -> Outcome:
    reply = sole_reply(completions)
    if isinstance(reply, Failed):
        return reply
    return {"keep": Kept([row]), "drop": Dropped("no"), "other": Kept([row], to="other")}.get(reply, Failed("why"))


def problems(count: int) -> list[Row]:
    return [{"problem_id": f"p{n}", "thread_id": f"t{n}", "problem": f"statement {n}"} for n in range(count)]


@given(st.lists(st.none() | replies, max_size=12))
def test_each_row_has_exactly_one_outcome(answers: list[Completion | None]) -> None:
    rows = problems(len(answers))
    completions = [
        {"row_id": row["problem_id"], "thread_id": row["thread_id"], **vars(answer)}
        for row, answer in zip(rows, answers, strict=True)
        if answer
    ]
    tables = settle(
        "stage", read, shards_of(rows, 1), shards_of(completions, 1), tables=("kept", "other"), max_failed_share=1
    )
    kept, other, rest = (rows_made(table) for table in tables)
    ids = Counter([*(row["problem_id"] for row in kept + other), *(row["row_id"] for row in rest)])
    assert ids == Counter(row["problem_id"] for row in rows)
    assert all(row["outcome"] in ("dropped", "failed") and row["reason"] for row in rest)


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        (Completion("k", "m", "Problem 1: half of a", finish_reason="length"), "truncated"),
        (Completion("k", "m", error_kind="timeout", error="no answer"), "timeout"),
    ],
)
def test_a_cut_reply_or_an_error_is_never_read(completion: Completion, reason: str) -> None:
    reply = sole_reply([completion])
    assert isinstance(reply, Failed)
    assert reply.reason == reason


def half_failing(rows: list[Row], failing: int) -> list[Row]:
    return [
        {"row_id": row["problem_id"], "call_key": "k", "model": "m", "text": "fail" if n < failing else "keep"}
        for n, row in enumerate(rows)
    ]


def test_too_many_failed_rows_stop_the_stage_with_their_reasons(tmp_path: Path) -> None:
    rows = problems(20)
    *_, rest = settle("stage", read, shards_of(rows, 1), shards_of(half_failing(rows, 5), 1), max_failed_share=0.2)
    table = TableStore(tmp_path, "jsonl", DROPPED)
    for _ in range(2):
        with pytest.raises(TooManyFailuresError, match=r"5 of 20 rows failed \(5 why\)"):
            table.save(rest)
        assert not table.complete
    table.save(replace(rest, check=accept))
    assert table.shards().count == 5


def test_a_part_of_a_table_may_hold_more_failures_than_its_share_of_them(tmp_path: Path) -> None:
    rows = problems(40)
    some = shards_of(rows, 1)
    for failing, refused in ((20, False), (21, True)):
        part = Shards(some.values(), whole=False)
        *_, rest = settle("stage", read, part, shards_of(half_failing(rows, failing), 1), max_failed_share=0.2)
        table = TableStore(tmp_path / str(failing), "jsonl", DROPPED)
        with pytest.raises(TooManyFailuresError) if refused else nullcontext():
            table.save_part(rest)
