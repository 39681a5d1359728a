from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.offline_model.tokenizer import count, decode, decode_chat, encode, encode_chat
from tests.offline_model.texts import POSTS

_LARGEST_ID = 2**31 - 1
"""That a client takes."""
_MESSAGES = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": POSTS}), max_size=4)


@given(POSTS)
def test_a_text_comes_back_from_its_ids(text: str) -> None:
    ids = encode(text)
    assert decode(ids) == text
    assert count(text) == len(ids)
    assert all(0 <= each <= _LARGEST_ID for each in ids)


@given(POSTS, POSTS)
def test_texts_are_joined_by_joining_their_ids(one: str, other: str) -> None:
    assert decode(encode(one) + encode(other)) == one + other


@given(_MESSAGES, POSTS)
def test_a_chat_comes_back_from_its_ids_with_what_was_said_after_it(messages: list[dict[str, str]], said: str) -> None:
    ids = encode_chat(messages)
    assert decode_chat([*ids, *encode(said)]) == [*messages, {"role": "assistant", "content": said}]
    assert all(0 <= each <= _LARGEST_ID for each in ids)


@given(POSTS)
def test_ids_without_marks_are_the_words_of_a_user(text: str) -> None:
    assert decode_chat(encode(text)) == [{"role": "user", "content": text}]


def test_four_ascii_characters_are_a_token_and_every_other_one_is() -> None:
    assert [count(text) for text in ("", "a", "abcd", "abcde", "ab≤cd", "\0\0")] == [0, 1, 1, 2, 3, 2]


@pytest.mark.parametrize("ids", [[_LARGEST_ID], [0x80], [0x7F80_D800], [*encode("a"), *encode_chat([])]])
def test_ids_that_no_text_has_are_refused(ids: list[int]) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_chat(ids)
