from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.text import Document, Match, NearDuplicateOptions, decisive_tokens, near_duplicates
from omr_kedro.text.near_duplicates import jaccard, rows_of_band

WORDS = [
    "let",
    "be",
    "the",
    "such",
    "that",
    "find",
    "point",
    "on",
    "circle",
    "meets",
    "with",
    "side",
    "triangle",
    "over",
]
WORDING_ONLY = NearDuplicateOptions(same_mathematics=False)

texts = st.lists(st.sampled_from([*WORDS, "$x$", "7", "8", "+", "-"]), max_size=12).map(" ".join)


def found(documents: Sequence[Document], options: NearDuplicateOptions | None = None) -> dict[str, Match]:
    return near_duplicates(lambda: documents, options)


def statements(*statements: str) -> list[Document]:
    return [Document(f"p{number}", statement) for number, statement in enumerate(statements)]


def prose(rng: random.Random, words: int) -> list[str]:
    return [rng.choice(WORDS) + rng.choice("bcdfgh") for _ in range(words)]


def test_a_copy_in_other_dress_is_exact_and_one_in_other_words_is_near() -> None:
    matches = found(
        statements(
            "Find all primes $p$ such that $p + 2$ is prime and $p < 10$.",
            r"Find all primes \(p\) such that \(p+2\) is prime and \(p<10\)",
            "Determine all primes $p$ such that $p+2$ is prime and $p<10$.",
            "Find all squares below 10.",
        )
    )
    assert set(matches) == {"p1", "p2"}
    assert matches["p1"] == Match("p0", 1.0, exact=True)
    assert not matches["p2"].exact
    assert 0.8 <= matches["p2"].similarity < 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the sum of the first 10 odd integers", "the sum of the first 11 odd integers"),
        ("the maximum of $xy$", "the minimum of $xy$"),
        ("the number of even divisors", "the number of odd divisors"),
        ("the value of $x + 1$", "the value of $x - 1$"),
        ("the length of $AB$", "the length of $AC$"),
        ("the value of $f'(x)$", "the value of $f(x)$"),
        ("the value of $2^{n+1}$", "the value of $2^n+1$"),
        ("two dice", "three dice"),
    ],
)
def test_texts_with_other_mathematics_are_no_duplicates(one: str, other: str) -> None:
    around = "Consider everything that was said above about this and do it carefully: {}. Give the answer in full."
    pair = statements(around.format(one), around.format(other))
    assert found(pair) == {}
    assert set(found(pair, WORDING_ONLY)) == {"p1"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Find the largest integer.", "What is the greatest integer?"),
        ("a three-digit number", "3 digit numbers"),
        ("non-negative integers", "nonnegative integers"),
        ("$x^{2}$", "$x^2$"),
        (r"$a \cdot b$", "$a b$"),
        ("Let's see! It's easy", "easy"),
    ],
)
def test_mathematics_is_the_same_in_other_words(one: str, other: str) -> None:
    assert decisive_tokens(one) == decisive_tokens(other)


def test_the_lowest_rank_stands_for_the_others_and_then_the_smallest_id() -> None:
    matches = found([Document("a", "Find x", 5), Document("c", "Find x", 2), Document("b", "Find $x$.", 2)])
    assert matches == {"a": Match("b", 1.0, exact=True), "c": Match("b", 1.0, exact=True)}


def test_a_chain_joins_nothing_that_does_not_match_its_representative() -> None:
    words = prose(random.Random(1), 60)
    links = [words[start : start + 40] for start in range(0, 21, 4)]
    chain = [Document(f"p{number}", " ".join(link), number) for number, link in enumerate(links)]
    options = NearDuplicateOptions(threshold=0.7, same_mathematics=False)
    matches = found(chain, options)
    assert {one: match.representative for one, match in matches.items()} == {"p1": "p0", "p3": "p2", "p5": "p4"}


def test_a_text_joins_the_representative_that_it_is_most_similar_to() -> None:
    words = prose(random.Random(2), 50)
    best, second, member = words[:40], words[8:], words[5:45]
    matches = found(
        [
            Document("best", " ".join(best), 0),
            Document("second", " ".join(second), 1),
            Document("member", " ".join(member), 2),
        ],
        NearDuplicateOptions(threshold=0.7, same_mathematics=False),
    )
    assert matches["member"].representative == "second"


@given(st.lists(texts, max_size=8), st.lists(st.integers(0, 2), min_size=16, max_size=16), st.randoms())
def test_the_order_of_the_input_does_not_matter(several: list[str], ranks: list[int], rng: random.Random) -> None:
    documents = [Document(f"{n}", text, rank) for n, (text, rank) in enumerate(zip(several * 2, ranks, strict=False))]
    shuffled = rng.sample(documents, len(documents))
    for options in (NearDuplicateOptions(threshold=0.4), WORDING_ONLY):
        assert found(shuffled, options) == found(documents, options)


@given(st.lists(texts, min_size=1, max_size=8))
def test_every_duplicate_matches_a_representative_that_is_kept(several: list[str]) -> None:
    options = NearDuplicateOptions(threshold=0.4)
    documents = statements(*several)
    matches = found(documents, options)
    texts = {document.id: document.text for document in documents}
    for one, match in matches.items():
        assert match.representative not in matches
        assert match.similarity >= options.threshold
        assert match.exact or decisive_tokens(texts[one]) == decisive_tokens(texts[match.representative])
    assert len(matches) < len(documents)


@given(st.text(), st.integers(0, 3))
def test_equal_texts_are_always_one_cluster(text: str, more: int) -> None:
    documents = statements(*[text] * (more + 1))
    assert found(documents) == {f"p{number}": Match("p0", 1.0, exact=True) for number in range(1, more + 1)}


@given(texts, st.integers(0, 99), st.integers(0, 99))
def test_texts_with_other_numbers_are_never_duplicates(text: str, one: int, other: int) -> None:
    pair = statements(f"{text} {one} {text}", f"{text} {other} {text}")
    assert bool(found(pair, NearDuplicateOptions(threshold=0.3))) == (one == other)


def test_pairs_above_the_threshold_are_found_and_pairs_below_are_not() -> None:
    rng = random.Random(3)
    bases = [prose(rng, 60) for _ in range(400)]
    # With shingles of one token, k other words among n unlike ones give a Jaccard index of (n - k) / (n + k).
    near = [[*base[:-2], "zz1", "zz2"] for base in bases]
    options = NearDuplicateOptions(threshold=0.8, shingle_tokens=1, same_mathematics=False)
    documents = [Document(f"p{n}", " ".join(words), rank=n) for n, words in enumerate(bases + near)]
    matches = found(documents, options)
    truth = {
        f"p{400 + n}"
        for n, (base, other) in enumerate(zip(bases, near, strict=True))
        if len(set(base) & set(other)) / len(set(base) | set(other)) >= 0.8
    }
    assert len(truth) > 300
    assert len(truth - set(matches)) <= 2  # one in a thousand is missed
    assert set(matches) <= truth


def test_bands_miss_a_pair_at_the_threshold_less_than_once_in_a_thousand() -> None:
    for threshold in (0.3, 0.5, 0.8, 0.85, 0.95, 1.0):
        rows = rows_of_band(threshold, 128)
        assert (1 - threshold**rows) ** (128 // rows) <= 0.001
    assert [rows_of_band(threshold, 128) for threshold in (0.5, 0.8, 1.0)] == sorted(
        rows_of_band(threshold, 128) for threshold in (0.5, 0.8, 1.0)
    )


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30), min_size=1))
def test_jaccard_is_that_of_the_sets(one: set[int], other: set[int]) -> None:
    first, second = (np.array(sorted(numbers), dtype=np.uint32) for numbers in (one, other))
    assert jaccard(first, second) == len(one & other) / len(one | other)


def test_a_stream_that_changes_between_the_passes_is_refused() -> None:
    passes = iter([statements("Find x", "Find x"), [Document("other", "Find x"), Document("p1", "Find x")]])
    with pytest.raises(ValueError, match="changed between two passes"):
        near_duplicates(lambda: next(passes))


def test_no_text_and_one_text_have_no_duplicates() -> None:
    assert found([]) == {}
    assert found(statements("")) == {}
