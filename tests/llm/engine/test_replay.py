from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from omr_kedro.llm.calls import Ask, CallPlan
from omr_kedro.llm.calls.errors import JournalError
from omr_kedro.llm.engine import PaidCalls, is_paid
from tests.support.call_plans import asked, call_plan, echo, rows, table, texts
from tests.support.chat_server import ChatServer

SHARD = "shard-00000-of-00001"


def changed(plan: CallPlan) -> CallPlan:
    """The same requests, made by other code."""
    return replace(plan, fingerprints=dict.fromkeys(plan.fingerprints, "changed"))


def paid(folder: Path, plan: CallPlan) -> bool:
    return is_paid(plan, SHARD, table(folder).scratch(SHARD))


def test_a_table_that_is_paid_for_is_completed_without_its_model(tmp_path: Path) -> None:
    with ChatServer(echo) as server:
        plan = call_plan(server, {SHARD: texts(5)})
        table(tmp_path).save(plan)
        before = rows(tmp_path)
    assert paid(tmp_path, changed(plan))
    assert table(tmp_path).save(PaidCalls(changed(plan))) == 1
    assert rows(tmp_path) == before
    assert table(tmp_path).pending(changed(plan)) == [], "the plan and its stand-in make the same"
    assert len(asked(server)) == 5


def test_a_call_that_is_not_paid_for_is_seen_before_later_ones_are_rendered(tmp_path: Path) -> None:
    with ChatServer(echo) as server:
        table(tmp_path).save(call_plan(server, {SHARD: texts(5)}))
        more = call_plan(server, {SHARD: ["new", *texts(5)]})
    rendered = list[str]()

    def requests(shard: str) -> Iterator[Ask]:
        for request in more.asks(shard):
            rendered.append(request.row_id)
            yield request

    assert not paid(tmp_path, replace(more, asks=requests))
    assert rendered == [f"{SHARD}-0"]


def test_replies_count_wherever_they_lie(tmp_path: Path) -> None:
    with ChatServer(echo) as server:
        plan, other = (call_plan(server, {SHARD: asked_for}) for asked_for in (texts(4), ["else"]))
        for each in (plan, other):
            table(tmp_path).save(replace(each, fingerprints={SHARD: repr(each.expected)}))
        assert table(tmp_path).scratch(SHARD).retired.exists()
        assert paid(tmp_path, plan)
        table(tmp_path).save(PaidCalls(plan))
        assert paid(tmp_path, other), "and none is lost"
    assert len(asked(server)) == 5


def test_nothing_is_made_up_for_a_reply_that_is_gone(tmp_path: Path) -> None:
    with ChatServer(echo) as server:
        plan = call_plan(server, {SHARD: texts(2)})
        table(tmp_path).save(plan)
        more = changed(call_plan(server, {SHARD: texts(3)}))
    with pytest.raises(JournalError, match="the reply to a call that was paid for is gone"):
        table(tmp_path).save(PaidCalls(more))
    assert [row["row_id"] for row in table(tmp_path).scratch(SHARD).earlier()] == [f"{SHARD}-0", f"{SHARD}-1"]
    assert table(tmp_path).save(PaidCalls(changed(plan))) == 1
