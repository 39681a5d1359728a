from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.text.ngrams import NGramIndex, containment, gram_hashes

TOKENS = st.lists(st.sampled_from("abcd"), max_size=12)


def slow_grams(tokens: list[str], n: int) -> set[tuple[str, ...]]:
    return {tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)}


def slow_containment(known: list[str], query: list[str], n: int) -> float:
    n = min(n, len(known))
    grams = slow_grams(known, n) if n else set()
    return len(grams & slow_grams(query, n)) / len(grams) if grams else 0.0


@given(TOKENS, TOKENS, st.integers(1, 5))
def test_containment_is_the_share_of_grams_that_a_set_of_tuples_says(
    known: list[str], query: list[str], n: int
) -> None:
    assert containment(known, query, n) == pytest.approx(slow_containment(known, query, n))


@given(st.lists(TOKENS, max_size=6), TOKENS, st.integers(1, 5), st.integers(1, 4))
def test_the_index_finds_the_most_contained_texts(texts: list[list[str]], query: list[str], n: int, k: int) -> None:
    shortest = 2
    slow = [slow_containment(text, query, n) if len(text) >= shortest else 0.0 for text in texts]
    best = sorted((share for share in slow if share), reverse=True)[:k]
    found = NGramIndex(texts, n, shortest).search(query, k)
    assert [hit.containment for hit in found] == pytest.approx(best)
    assert all(slow[hit.index] == pytest.approx(hit.containment) for hit in found)


def test_hashes_are_the_same_in_every_process() -> None:
    assert gram_hashes(["find", "x"], 2).tolist() == [16509333409043370825]


def test_a_short_text_is_one_gram_and_a_very_short_one_is_none() -> None:
    index = NGramIndex([["find", "x"], ["find", "the", "sum", "of", "all"]], 13, 3)
    found = index.search(["please", "find", "the", "sum", "of", "all", "x"], 5)
    assert [(hit.index, hit.containment) for hit in found] == [(1, 1.0)]


def test_any_text_can_be_hashed() -> None:
    assert len(gram_hashes(["\ud800", "", "∑"], 2)) == 2
