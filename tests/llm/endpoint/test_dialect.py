"""The fields that an endpoint refuses are found by asking, whatever it says, and only what was proved is believed."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.llm.calls import CallError, Completion
from omr_kedro.llm.endpoint.dialect import Dialect

FIELDS: dict[str, Any] = {
    "top_k": 20, "model": "m", "messages": [], "temperature": 0.0, "top_p": 0.95, "max_tokens": 9, "seed": 1,
    "response_format": {},
}  # fmt: skip
REFUSABLE = ("top_k", "temperature", "top_p", "max_tokens", "seed", "response_format")


class Model:
    """Refuses fields; says which one, or nothing, or something else."""

    def __init__(self, *refused: str, says: str = "the field") -> None:
        self.refused = set(refused)
        self.says = says
        self.asked: list[dict[str, Any]] = []
        self.replies = count()

    async def ask(self, body: dict[str, Any]) -> Completion:
        self.asked.append(body)
        if wrong := [name for name in body if name in self.refused]:
            raise CallError(
                "bad_request", "no", param={"the field": wrong[0], "nothing": None}.get(self.says, self.says)
            )
        return Completion(str(next(self.replies)), "m")

    async def first(self, dialect: Dialect, body: dict[str, Any]) -> tuple[Completion, int]:
        """The outcome of a first call, and how many replies were paid for beside it."""
        spare: list[Completion] = []
        try:
            return await self.ask(dialect.spoken(body)), 0
        except CallError as refusal:
            return await dialect.learn(dialect.spoken(body), refusal, self.ask, spare.append), len(spare)


@given(
    refused=st.sets(st.sampled_from(REFUSABLE)),
    renamed_limit_is_refused=st.booleans(),
    says=st.sampled_from(["the field", "nothing", "messages", "seed", "no such field"]),
)
def test_what_is_refused_is_found_whatever_the_server_says(
    refused: set[str], renamed_limit_is_refused: bool, says: str
) -> None:
    other_limit = {"max_completion_tokens"} if renamed_limit_is_refused and "max_tokens" not in refused else set()
    model, dialect = Model(*refused, *other_limit, says=says), Dialect("m")
    reply, spare = asyncio.run(model.first(dialect, FIELDS))
    sent = dialect.spoken(FIELDS)
    assert model.asked.count(sent) == 1, "the outcome is the reply to what is sent from here on"
    assert int(reply.call_key) == spare, "the last reply that was paid for"
    assert spare <= len(REFUSABLE)
    assert {name for name in REFUSABLE if name in sent} == set(REFUSABLE) - refused
    assert ("max_completion_tokens" in sent) == ("max_tokens" in refused)
    asyncio.run(model.ask(sent))


@pytest.mark.parametrize("refused", [(), ("max_tokens", "temperature"), REFUSABLE])
def test_a_server_that_names_its_fields_costs_no_reply_but_the_one_that_is_used(refused: tuple[str, ...]) -> None:
    model = Model(*refused)
    _, spare = asyncio.run(model.first(Dialect("m"), FIELDS))
    assert spare == 0
    assert len(model.asked) == 1 + len(refused) + ("max_tokens" in refused), "a small limit is tried as well"


@pytest.mark.parametrize("field", ["tools", "tool_choice", "stop"])
@pytest.mark.parametrize("says", ["the field", "nothing"])
def test_means_to_run_code_are_never_given_up_and_stop_the_run(field: str, says: str) -> None:
    model, dialect = Model(field, "seed", says=says), Dialect("m")
    with pytest.raises(CallError, match=f"takes the call without `{field}` alone") as refused:
        asyncio.run(model.first(dialect, {**FIELDS, field: ["any"]}))
    assert refused.value.kind == "unable"
    assert field in dialect.spoken({field: ["any"]})
    assert asyncio.run(model.first(dialect, FIELDS)), "calls without it are learnt as ever"


@pytest.mark.parametrize("says", ["the field", "nothing"])
def test_a_limit_of_tokens_is_never_given_up(says: str) -> None:
    model, dialect = Model("max_tokens", "max_completion_tokens", says=says), Dialect("m")
    with pytest.raises(CallError):
        asyncio.run(model.first(dialect, FIELDS))
    assert all({"max_tokens", "max_completion_tokens"} & body.keys() for body in model.asked)
    assert dialect.spoken(FIELDS) == FIELDS


@pytest.mark.parametrize("says", ["max_tokens", "nothing"])
def test_a_limit_that_is_too_large_for_a_row_keeps_its_name_where_the_other_name_is_ignored(says: str) -> None:
    class Short(Model):
        async def ask(self, body: dict[str, Any]) -> Completion:
            self.refused = {"max_tokens"} if body.get("max_tokens", 0) > 5 else set()
            return await super().ask(body)

    model, dialect = Short(says=says), Dialect("m")
    with pytest.raises(CallError):
        asyncio.run(model.first(dialect, FIELDS))
    assert dialect.spoken(FIELDS) == FIELDS
    asked = len(model.asked)
    with pytest.raises(CallError):
        asyncio.run(model.first(dialect, FIELDS))
    assert "max_completion_tokens" not in str(model.asked[asked:]), "it was seen to take the field"


@pytest.mark.parametrize("says", ["messages", "temperature", "nothing"])
def test_a_row_that_is_at_fault_shows_nothing_and_costs_little(says: str) -> None:
    model, dialect = Model("messages", says=says), Dialect("m")
    with pytest.raises(CallError):
        asyncio.run(model.first(dialect, FIELDS))
    assert dialect.spoken(FIELDS) == FIELDS
    assert len(model.asked) <= 4


def test_what_was_taken_once_is_never_suspected() -> None:
    model, dialect = Model(), Dialect("m")
    dialect.took(FIELDS)
    model.refused = {"temperature"}
    with pytest.raises(CallError):
        asyncio.run(model.first(dialect, FIELDS))
    assert len(model.asked) == 1


def test_what_another_row_shows_meanwhile_is_believed() -> None:
    model, dialect = Model("temperature", says="nothing"), Dialect("m")

    async def ask(body: dict[str, Any]) -> Completion:
        dialect.took(FIELDS)
        return await model.ask(body)

    asyncio.run(dialect.learn(FIELDS, CallError("bad_request", "no"), ask, lambda _: None))
    assert dialect.spoken(FIELDS) == FIELDS


def test_another_error_on_the_way_is_the_outcome_and_nothing_is_learnt() -> None:
    model, dialect = Model("temperature", says="nothing"), Dialect("m")

    async def down(body: dict[str, Any]) -> Completion:
        raise CallError("throttled", "later")

    refusal = CallError("bad_request", "no")
    with pytest.raises(CallError, match="later"):
        asyncio.run(dialect.learn(FIELDS, refusal, down, lambda _: None))
    assert dialect.spoken(FIELDS) == FIELDS
    asyncio.run(model.first(dialect, FIELDS))
    assert "temperature" not in dialect.spoken(FIELDS)


def test_each_field_is_told_once_with_its_consequence(caplog: pytest.LogCaptureFixture) -> None:
    model, dialect = Model("max_tokens", "temperature", "response_format"), Dialect("some-model")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            asyncio.run(model.first(dialect, FIELDS))
    told = sorted(record.getMessage() for record in caplog.records)
    assert [line.split("`")[1] for line in told] == ["max_tokens", "response_format", "temperature"]
    assert "max_completion_tokens" in told[0]
    assert "parser" in told[1]
    assert "default" in told[2]
    assert all("some-model" in line for line in told)


def test_rows_at_fault_do_not_keep_it_from_learning_of_a_later_one() -> None:
    model, dialect = Model("temperature", "messages", says="nothing"), Dialect("m")
    with suppress(CallError):
        asyncio.run(model.first(dialect, FIELDS))
    assert dialect.spoken(FIELDS) == FIELDS
    model.refused = {"temperature"}
    asyncio.run(model.first(dialect, FIELDS))
    assert "temperature" not in dialect.spoken(FIELDS)
