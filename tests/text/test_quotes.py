from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.text.quotes import without_quote_tags, without_quotes, without_quotes_as_original

_PIECES = (
    "[quote]", '[quote="ann"]', "[quote=bob]", "[QUOTE]", "[quote name=x]", "[/quote]", "[/QUOTE]", "[quo",
    "te]", "[/quo", "[quote", "quote]", "a", "b ", "\n", "$x$", "]", "[", "é",
)  # fmt: skip


def _restated(text: str) -> str:
    """The original's rule in other words: pairs of the last opener and what follows it, taken out one at a time."""
    while True:
        before, opener, after = text.rpartition("[quote")
        inside, closer, rest = after.partition("[/quote]")
        if not opener or not closer:
            return text
        text = before + rest
        del inside


def test_the_original_rule_holds_on_a_hundred_thousand_strings() -> None:
    chance = random.Random(3)
    for _ in range(100_000):
        text = "".join(chance.choices(_PIECES, k=chance.randint(0, 14)))
        assert without_quotes_as_original(text) == _restated(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[quote]no[/quote]yes", "yes"),
        ('[quote="ann"]no[/quote]yes', "yes"),
        ("[QUOTE=ann]no[/Quote]yes", "yes"),
        ('[quote="a [b] c"]no[/quote]yes', "yes"),
        ("[quote name=ann date=1]no[/quote]yes", "yes"),
        ("one [quote]no [quote]no[/quote] no[/quote]two [quote]no[/quote]three", "one two three"),
        ("[quote]first[/quote] and [quote]yes, all of this", " and yes, all of this"),
        ("yes[/quote] yes", "yes yes"),
        ("[quote] a [quote]no[/quote] b", " a  b"),
        ("[quotes] are no tag, nor is [quote", "[quotes] are no tag, nor is [quote"),
    ],
)
def test_quotes_go_and_nothing_else_does(text: str, expected: str) -> None:
    assert without_quotes(text) == expected


_TAGS = st.sampled_from(["[quote]", '[quote="x [y]"]', "[QUOTE=z]", "[quote a b]"])
_WORDS = st.text("abc $\n", max_size=5)


def _quoted(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    closers = st.sampled_from(["[/quote]", "[/QUOTE]", "[/ quote ]"])
    return st.tuples(_TAGS, st.lists(inner, max_size=3).map("".join), closers).map("".join)


@given(
    st.lists(st.one_of(_WORDS.map(lambda word: (word, True)), st.recursive(_WORDS, _quoted).map(lambda q: (q, False))))
)
def test_what_stands_outside_of_closed_quotes_is_exactly_what_stays(pieces: list[tuple[str, bool]]) -> None:
    pieces = [(text if outside else f"[quote]{text}[/quote]", outside) for text, outside in pieces]
    assert without_quotes("".join(text for text, _ in pieces)) == "".join(text for text, outside in pieces if outside)


@given(st.text("abc \n", max_size=20), st.lists(_TAGS, max_size=4), st.text("abc \n", max_size=20))
def test_unclosed_tags_take_no_text_with_them(before: str, tags: list[str], after: str) -> None:
    assert without_quotes(before + "".join(tags) + after) == before + after


@given(st.lists(st.sampled_from(_PIECES)).map("".join))
def test_taking_tags_out_leaves_all_other_text(text: str) -> None:
    tags = r"""\[/?[ \t]*quote[^\[\]]*\]|\[quote="[^"\n]*"\]"""
    assert len(without_quote_tags(text)) >= len(re.sub(tags, "", text, flags=re.IGNORECASE))
    assert set(without_quote_tags(text)) <= set(text)


def test_a_hundred_thousand_nested_tags_take_one_pass() -> None:
    depth = 100_000
    assert without_quotes("[quote]" * depth + "no" + "[/quote]" * depth + "yes") == "yes"


def test_a_tag_with_an_attribute_that_is_no_name_is_text() -> None:
    assert without_quotes("[quote=" + "x" * 200 + "]a[/quote]b") == "b"
    long = "[quote=" + "x" * 300 + "]a"
    assert without_quotes(long) == long


@given(st.lists(st.sampled_from(["[quote", "[/quote]", "[qu", "ote", "[", "/quote]", "]", "x", " "]), max_size=14))
def test_the_rule_of_the_original_is_its_loop(pieces: list[str]) -> None:
    text = expected = "".join(pieces)
    while (start := expected.rfind("[quote")) >= 0 and (end := expected.find("[/quote]", start)) >= 0:
        expected = expected[:start] + expected[end + len("[/quote]") :]
    assert without_quotes_as_original(text) == expected
