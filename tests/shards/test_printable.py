from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.shards import printable, printable_name


@given(st.text())
def test_nothing_that_steers_a_terminal_is_printed_and_nothing_else_is_changed(text: str) -> None:
    shown = printable(text)
    assert shown.replace("\n", "").replace("\t", "").isprintable() or not text.isprintable()
    assert not set(shown) & set(map(chr, [*range(9), *range(11, 32), 127, 0x9B, 0x202E, 0x2066]))
    if text.isprintable():
        assert shown == text


@given(st.text())
def test_a_name_stands_on_one_line_and_is_not_longer_than_names_are(text: str) -> None:
    shown = printable_name(text)
    assert len(shown.splitlines()) <= 1 or "\u2028" in text or "\u2029" in text
    assert "\n" not in shown
    assert len(shown) < 2_100


def test_half_of_a_surrogate_pair_is_written_out() -> None:
    assert printable("a\udcffb") == "a\\udcffb"
