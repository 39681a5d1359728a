from __future__ import annotations

from typing import Any

from omr_kedro.llm.engine.open_shard import OpenShard


def test_a_call_is_taken_from_an_earlier_run_once_and_never_one_that_this_run_began() -> None:
    journal: Any = {"old", "new"}  # the writer is faster than whoever counts
    shard = OpenShard("a", journal)
    shard.begin("new")
    assert [shard.reuse(key) for key in ("old", "old", "new", "absent")] == [True, False, False, False]
