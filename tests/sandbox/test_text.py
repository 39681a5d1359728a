from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.sandbox.limits import CUT_MARK
from omr_kedro.sandbox.text import readable


@given(st.binary(max_size=2000), st.integers(1, 100), st.booleans())
def test_any_bytes_become_text_that_steers_nothing_and_is_within_the_limit(data: bytes, most: int, cut: bool) -> None:
    text = readable(data, most, cut=cut)
    assert len(text) <= most + len(CUT_MARK)
    assert not [
        c for c in text if (ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000
    ]
    assert text.endswith(CUT_MARK) or not cut


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\n\ttext", "plain\n\ttext"),
        ("grün ∫".encode(), "grün ∫"),
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07text", "text"),
        (b"\x1b\x1b[0m[2J", "[2J"),
        (b"one\r\ntwo", "one\ntwo"),
        (b"<function f at 0x7fffef5f0a40>", "<function f at 0x…>"),
        (b"look at 0x7fffef5f0a40", "look at 0x7fffef5f0a40"),
        (b"\xff", "\ufffd"),
    ],
)
def test_text_is_kept_and_what_is_none_is_not(data: bytes, text: str) -> None:
    assert readable(data, 100) == text


def test_a_character_that_was_cut_in_two_is_left_out() -> None:
    assert readable("ä".encode() + "ä".encode()[:1], 100, cut=True) == "ä" + CUT_MARK
