from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.text import LexicalRetriever, TwinFinder

LONG = "Seven friends sit down at a round table and each of them shakes hands with both neighbours"
KNOWN = ["Find the sum of $x$.", "find the sum of x", LONG, "Find $y$", "Find $z$"]


def finder(known: list[str]) -> TwinFinder:
    return TwinFinder(known, "lexical", LexicalRetriever, (13, 8))


def test_equal_statements_share_a_rank_and_come_first() -> None:
    (matches,) = finder(KNOWN).find(["**Find** the sum of $x$"], k=2)
    assert [(match.index, match.rank, match.exact) for match in matches] == [
        (0, 1, True),
        (1, 1, True),
        *((match.index, 2, False) for match in matches[2:]),
    ]


def test_what_was_found_says_how() -> None:
    others = [f"find y or z, by number {number}" for number in range(9)]
    (matches,) = finder([LONG, *others]).find([f"Find y or z number 7, y or z, y, z. A riddle: {LONG}."], k=2)
    assert [(match.index, match.found_by, match.containment) for match in matches[:2]] == [
        (0, "lexical, ngram", (1, 1)),
        (8, "lexical", (0, 0)),
    ]
    (matches,) = finder([LONG, *others]).find([f"{'Find y or z number 7. ' * 40} {LONG}."], k=1)
    assert {match.index: match.found_by for match in matches} == {8: "lexical", 0: "ngram"}


def test_text_without_words_equals_nothing() -> None:
    assert finder(["$$", *KNOWN]).find(["$ $"], k=3) == [[]]


@given(st.lists(st.text(alphabet="xyz $", max_size=8), max_size=6), st.lists(st.text(max_size=8), max_size=3))
def test_every_equal_text_is_found_whatever_else_is_there(known: list[str], others: list[str]) -> None:
    index = finder([*known, *others])
    for number, text in enumerate(known):
        (matches,) = index.find([text], k=1)
        assert not text.strip(" $") or number in {match.index for match in matches if match.exact}
