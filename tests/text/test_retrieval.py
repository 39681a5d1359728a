from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.text import LexicalRetriever, math_tokens, normal_form

KNOWN = [
    "Find the sum of the first $n$ odd integers.",
    "A circle of radius $3$ touches the line $y = x$. Find its area.",
    r"Evaluate $\int_0^1 x^2\,dx$.",
]


def test_the_most_similar_text_comes_first() -> None:
    (hits,) = LexicalRetriever(KNOWN).search(["what is the area of a circle of radius 3?"], k=2)
    assert hits[0].index == 1
    assert hits[0].score >= hits[-1].score


@pytest.mark.parametrize("query", ["", "   ", "xyzzy plugh", "中文"])
def test_a_text_that_shares_nothing_has_no_hits(query: str) -> None:
    assert LexicalRetriever(KNOWN).search([query], k=3) == [[]]


def test_an_empty_index_and_no_queries_are_fine() -> None:
    assert LexicalRetriever([]).search(["x"], k=3) == [[]]
    assert LexicalRetriever(KNOWN).search([], k=3) == []


@given(st.lists(st.text(), max_size=5), st.lists(st.text(), max_size=5), st.integers(1, 4))
def test_any_texts_can_be_searched(known: list[str], queries: list[str], k: int) -> None:
    found = LexicalRetriever(known).search(queries, k)
    assert len(found) == len(queries)
    assert all(len(hits) <= k and all(0 <= hit.index < len(known) for hit in hits) for hits in found)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Find $x$.", "find x"),
        (r"Compute \(\dfrac{1}{2}\)!", r"compute $\frac{1}{2}$ !"),
        ("**Let**  $a \\leq b$", "let $a \\le b$."),
        ("What is x?", "What is x"),
    ],
)
def test_dress_does_not_matter(one: str, other: str) -> None:
    assert normal_form(one) == normal_form(other)


def test_a_closing_exclamation_mark_is_dress_and_a_closing_factorial_is_not() -> None:
    assert normal_form("Find the digits!") == normal_form("Find the digits.")
    assert normal_form("Find the digits of $100!$.") != normal_form("Find the digits of $100$.")


def test_numbers_and_signs_matter() -> None:
    assert normal_form("Find $x + 1$.") != normal_form("Find $x - 1$.")
    assert normal_form("Find $12$.") != normal_form("Find $1 2$.")


@given(st.text())
def test_tokens_are_the_same_for_their_own_text(text: str) -> None:
    tokens = math_tokens(text)
    assert math_tokens(" ".join(tokens)) == tokens
