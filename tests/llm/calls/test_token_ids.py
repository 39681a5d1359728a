from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.llm.calls import Request, Sampling
from omr_kedro.llm.calls.token_ids import TokenIds, are_token_ids, as_json

IDS = st.lists(st.integers(0, 2**31 - 1), max_size=8)
REQUEST = Request("row", [], Sampling(seed=3), "prompt")


@given(st.lists(IDS, max_size=5))
def test_ids_that_are_appended_are_those_of_one_list(parts: list[list[int]]) -> None:
    whole, ids = [each for part in parts for each in part], TokenIds()
    for part in parts:
        ids += part
    assert list(ids) == whole
    assert (len(ids), ids[:3], bool(ids)) == (len(whole), whole[:3], bool(whole))
    assert ids == TokenIds(whole) == TokenIds(TokenIds(whole))
    assert hash(ids) == hash(TokenIds(whole))
    assert orjson.dumps({"prompt": ids}, default=as_json) == orjson.dumps({"prompt": whole})


@given(IDS)
def test_a_call_has_the_same_key_however_its_ids_are_held(ids: list[int]) -> None:
    assert replace(REQUEST, prompt_ids=TokenIds(ids)).key("model") == replace(REQUEST, prompt_ids=ids).key("model")


def test_ids_do_not_change_when_others_are_appended() -> None:
    begun = TokenIds([1, 2])
    assert begun + TokenIds([3]) != begun + TokenIds([4])
    assert list(begun) == [1, 2]
    assert begun != [1, 2]


def test_what_else_is_no_json_is_told() -> None:
    with pytest.raises(TypeError):
        orjson.dumps({"prompt": object()}, default=as_json)


@given(st.lists(st.one_of(st.integers(-2, 5), st.booleans(), st.none(), st.floats(), st.text(max_size=1)), max_size=4))
def test_only_whole_numbers_within_bounds_are_token_ids(values: list[object]) -> None:
    assert are_token_ids(values, 3) == all(type(value) is int and 0 <= value <= 3 for value in values)
    assert not are_token_ids(tuple(values), 3)
