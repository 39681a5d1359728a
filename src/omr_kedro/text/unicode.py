"""Unicode normalisation in linear time, whatever the text."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby
from typing import Literal

# Python puts combining marks in order by insertion: 200,000 of them in a wrong order take a minute. No writing stacks
# more than 30 (UAX #15, Stream-Safe Text Format). Left out of the class: what is long in honest texts, CJK and Hangul.
_MOST_MARKS = 30
_LONG_RUN = re.compile(rf"[\u0300-\u30ff\ua000-\uabff\uf900-\U0010ffff]{{{_MOST_MARKS + 1},}}")


def normalized(text: str, form: Literal["NFC", "NFKC"]) -> str:
    """The text in a normalisation form of Unicode, as `unicodedata.normalize` gives it."""
    # A mark has two bytes or more.
    if len(text.encode("utf-8", "surrogatepass")) - len(text) > _MOST_MARKS:
        decomposed: Literal["NFD", "NFKD"] = "NFD" if form == "NFC" else "NFKD"
        text = _LONG_RUN.sub(lambda run: _ordered(run[0], decomposed), text)
    return unicodedata.normalize(form, text)


def _ordered(run: str, decomposed: Literal["NFD", "NFKD"]) -> str:
    """The run decomposed, its marks in canonical order."""
    signs = (sign for character in run for sign in unicodedata.normalize(decomposed, character))
    return "".join(
        "".join(sorted(group, key=unicodedata.combining) if is_mark else group)
        for is_mark, group in groupby(signs, key=lambda sign: unicodedata.combining(sign) > 0)
    )
