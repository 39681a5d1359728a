r"""Signs that AoPS's forum once wrote as macros of its own: `x\minus{}1` for `x-1`.

Its editor of 2008 to 2010 stored the three signs so; the posts are in all dumps, and in benchmarks that were made of
them, such as Omni-MATH. Models copy the macros, and nothing else knows them.
"""

from __future__ import annotations

import re

_SIGNS = {"minus": "-", "plus": "+", "equal": "="}
# `\\` is a line break, whatever follows it. `\/` is TeX's correction of slanted letters, and elsewhere a slash that an
# export has escaped: it is nothing for certain only where no divisor can follow.
_MACRO = re.compile(
    r"""\\\\
      | \\(?P<sign>minus|plus|equal)(?![a-zA-Z]) (?:\{[ ]?\})?
      | \\/ (?:[ ]{0,2}\\/)*+ (?=[ ]{0,2}(?:[$)\]},;:]|\\[)\]]))""",
    re.VERBOSE,
)


def without_old_macros(text: str) -> str:
    r"""The text with `-`, `+` and `=` for `\minus{}`, `\plus{}` and `\equal{}`, and without `\/` that means nothing."""
    return _MACRO.sub(_plain, text)


def _plain(macro: re.Match[str]) -> str:
    return _SIGNS[macro["sign"]] if macro["sign"] else macro[0] if macro[0] == "\\\\" else ""
