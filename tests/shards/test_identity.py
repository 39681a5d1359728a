from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.shards import content_id, shard_of
from omr_kedro.shards.identity import fingerprint, shard_names


@given(st.text(), st.text())
def test_an_id_follows_from_content_alone(post: str, discussion: str) -> None:
    assert content_id(post, discussion) == content_id(post, discussion)
    assert content_id(post, discussion) != content_id(post, discussion + "x")


def test_where_one_part_ends_and_the_next_begins_matters() -> None:
    assert content_id("ab", "c") != content_id("a", "bc")


@given(st.text(), st.integers(1, 800))
def test_each_thread_has_one_shard_whatever_other_threads_there_are(post: str, count: int) -> None:
    assert shard_of(content_id(post), count) in shard_names(count)


def test_threads_spread_over_all_shards() -> None:
    used = {shard_of(content_id(str(number)), 16) for number in range(1000)}
    assert used == set(shard_names(16))


def test_a_fingerprint_does_not_depend_on_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
