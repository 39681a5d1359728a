from __future__ import annotations

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.text.unicode import normalized

_MARKS = [chr(c) for c in range(0x300, 0x20000) if unicodedata.combining(chr(c)) or unicodedata.decomposition(chr(c))]


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@given(st.lists(st.one_of(st.sampled_from(_MARKS), st.characters()), max_size=120).map("".join))
def test_the_form_is_unicodes_however_many_marks_stand_on_a_letter(form: Literal["NFC", "NFKC"], text: str) -> None:
    assert normalized(text, form) == unicodedata.normalize(form, text)
