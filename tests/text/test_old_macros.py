from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.text import decisive_tokens, normal_form
from omr_kedro.text.old_macros import without_old_macros

_PIECES = st.sampled_from(
    ["\\minus{}", "\\plus{}", "\\equal{}", "\\minus", "\\equal{ }", "\\/", "\\\\", "\\", "{", "}", "{}", " ", "$", ")",
     "a", "mi", "nus", "1", "\\setminus", "\\frac{1}{2}", "\\not", "/", "\n"]
)  # fmt: skip
_TEXTS = st.lists(_PIECES, max_size=16).map("".join)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"$ n^{n\minus{}1}\minus{}m^{m\minus{}1}$", "$ n^{n-1}-m^{m-1}$"),
        (r"$ f(x\plus{}y) \equal{} \minus{}f(y)$", "$ f(x+y) = -f(y)$"),
        (r"$a\minus b\plus2\equal c$", "$a- b+2= c$"),
        (r"$x\not\equal{}0$, $\cdot\minus{}x$", r"$x\not=0$, $\cdot-x$"),
        (r"$A\setminus{}B$, \minuscule, \equality{}", r"$A\setminus{}B$, \minuscule, \equality{}"),
        (r"two rows \\minus{} or \\\minus{}1", r"two rows \\minus{} or \\-1"),
        (r"the angle $ABC\/$ of ($f\/$)", "the angle $ABC$ of ($f$)"),
        (r"$1\/2$, $1\/(x+1)$, http:\/\/a.b, p \/ q", r"$1\/2$, $1\/(x+1)$, http:\/\/a.b, p \/ q"),
    ],
)
def test_signs_are_written_as_signs_and_all_else_stays(text: str, plain: str) -> None:
    assert without_old_macros(text) == plain


@given(_TEXTS)
def test_a_second_pass_changes_nothing(text: str) -> None:
    assert without_old_macros(without_old_macros(text)) == without_old_macros(text)


@given(st.one_of(st.text(), _TEXTS))
def test_a_text_without_these_macros_stays_as_it_is(text: str) -> None:
    other = re.sub(r"\\(?:minus|plus|equal|/)", "", text)
    if not re.search(r"\\(?:minus|plus|equal|/)", other):
        assert without_old_macros(other) == other


@given(_TEXTS)
def test_a_post_that_holds_text_still_does(text: str) -> None:
    assert bool(without_old_macros(text).strip()) == bool(text.strip())


@pytest.mark.parametrize("piece", ["\\", "\\/", "\\/ ", "\\minus", "\\minus{", "\\/  \\", " \\/"])
def test_a_megabyte_of_beginnings_takes_one_pass(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    assert len(without_old_macros(text + "$")) <= len(text) + 1


def test_statements_that_differ_in_these_macros_alone_are_one() -> None:
    old, new = r"Find all $ x$ with $ x^2\minus{}3x\equal{}\plus{}4$.", "Find all $x$ with $x^2-3x=+4$."
    assert normal_form(old) == normal_form(new)
    assert decisive_tokens(old) == decisive_tokens(new)
