from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.llm.endpoint.replies import read_reply, without_echo

ECHO = '"prompt_token_ids":['
TEXTS = st.lists(st.sampled_from([ECHO, "]", '"', "\\", "a", "[1,2]"]), max_size=6).map("".join)


@given(TEXTS, st.lists(st.integers(0, 9), max_size=4))
def test_a_continuation_is_read_the_same_without_the_ids_of_its_prompt_whatever_its_text_holds(
    text: str, prompt: list[int]
) -> None:
    choice = {
        "text": text,
        "finish_reason": "stop",
        "token_ids": [1, 2],
        "prompt_token_ids": prompt,
        "stop_reason": text,
    }
    content = orjson.dumps({"choices": [choice], "usage": {"prompt_tokens": len(prompt)}})
    assert read_reply(without_echo(content), "k", "m", 0.0) == read_reply(content, "k", "m", 0.0)
    assert orjson.loads(without_echo(content))["choices"][0]["prompt_token_ids"] == []


@pytest.mark.parametrize("content", [b"", b"no JSON", b'{"prompt_token_ids":[1,2'])
def test_a_body_without_such_ids_stays_as_it_is(content: bytes) -> None:
    assert without_echo(content) == content
