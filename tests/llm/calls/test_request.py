from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.llm.calls import Completion, Request, Sampling
from omr_kedro.llm.calls.request import ConversationKeys

REQUEST = Request("row", [{"role": "user", "content": "2 + 2?"}], Sampling(seed=3), "prompt", ("a", "b"))


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, messages=[{"role": "user", "content": "2 + 3?"}]),
        replace(REQUEST, sampling=Sampling(seed=4)),
        replace(REQUEST, sampling=Sampling(seed=3, temperature=0.7)),
        replace(REQUEST, sampling=Sampling(seed=3, max_tokens=5)),
        replace(REQUEST, choices=("a",)),
        replace(REQUEST, sample_index=1),
        replace(REQUEST, turn=1),
        replace(REQUEST, stop=("</tool_call>",)),
        replace(REQUEST, extra_body={"min_p": 0.1}),
        replace(REQUEST, prompt_ids=[1, 2]),
    ],
)
def test_whatever_decides_the_reply_changes_the_key(other: Request) -> None:
    assert other.key("model") != REQUEST.key("model")


def test_a_call_of_earlier_versions_is_found_by_the_key_that_it_had() -> None:
    sampling = Sampling(0.7, 0.95, 100, 3)
    asked = Request("row", [{"role": "user", "content": "2 + 2?"}], sampling, "prompt", ("a", "b"), "part", 2)
    assert asked.key("model") == "4ddc36a64bb0e824ac4726c927849264"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(st.lists(st.tuples(st.integers(0, 6), TEXTS, st.integers(0, 3), st.booleans()), max_size=8))
def test_a_conversation_has_the_keys_of_its_requests_whatever_they_have_in_common(
    turns: list[tuple[int, str, int, bool]],
) -> None:
    keys, messages = ConversationKeys('mod"el'), list(REQUEST.messages)
    for kept, text, turn, continued in turns:
        messages = messages[:kept] + ([{"role": "assistant", "content": text}] if text else [])
        asked = replace(REQUEST, messages=messages, turn=turn, prompt_ids=[1] if continued else None)
        assert keys.key(asked) == asked.key('mod"el')


def test_a_message_that_was_changed_in_place_changes_the_key() -> None:
    keys, message = ConversationKeys("model"), {"role": "user", "content": "2 + 2?"}
    asked = replace(REQUEST, messages=[message])
    before = keys.key(asked)
    message["content"] = "2 + 3?"
    assert keys.key(asked) == asked.key("model") != before


def test_a_completion_of_earlier_versions_is_not_taken_for_damaged() -> None:
    done = Completion("key", "model", "text", "why", "stop", prompt_tokens=3, latency_s=1.5, asked_model="m")
    assert done.checksum == "478cfdb85c71ae49"


def test_a_prompt_of_token_ids_says_all_that_is_asked() -> None:
    asked = replace(REQUEST, prompt_ids=[1, 2])
    assert replace(asked, messages=[]).key("model") == asked.key("model")
    assert replace(asked, prompt_ids=[1, 3]).key("model") != asked.key("model")


def test_another_model_is_another_call() -> None:
    assert REQUEST.key("model") != REQUEST.key("other")


@pytest.mark.parametrize("change", [{"row_id": "other"}, {"part": "second"}, {"prompt_hash": "other"}])
def test_whose_call_it_is_does_not_change_the_key(change: dict[str, Any]) -> None:
    assert replace(REQUEST, **change).key("model") == REQUEST.key("model")


def test_only_what_is_set_is_sent_and_each_sample_has_its_seed() -> None:
    assert Sampling(max_tokens=5).wire(2) == {"temperature": 0.0, "max_tokens": 5}
    assert Sampling(seed=10).wire(2)["seed"] == 12


def test_a_completion_survives_a_table_row() -> None:
    done = Completion("key", "model", "text", finish_reason="stop", prompt_tokens=3, stop_reason="x", token_ids=[1, 2])
    row = done.row(REQUEST.identity())
    assert Completion.from_row(row) == done
    assert Completion.from_row(row).as_written(row["checksum"]) == done


@pytest.mark.parametrize("ids", ["1", [-1], [1.5], [True], {"a": 1}])
def test_token_ids_that_are_none_are_told(ids: object) -> None:
    row = Completion("key", "model").row(REQUEST.identity())
    with pytest.raises(TypeError):
        Completion.from_row({**row, "token_ids": ids})


@given(st.integers(0, 2**40), st.integers(0, 40), st.integers(1, 40))
def test_later_turns_have_seeds_that_servers_take(seed: int, sample: int, turn: int) -> None:
    later = Sampling(seed=seed).seed_of(sample, turn)
    assert later is not None
    assert 0 <= later < 2**31
    assert later == Sampling(seed=seed).seed_of(sample, turn)
