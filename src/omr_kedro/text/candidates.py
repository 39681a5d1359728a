"""Candidate solutions as a model is shown them, side by side and numbered.

They are strangers' texts: each stands between tags with its number, and whatever looks like such a tag inside is set
apart by a blank, as prompts do with their own tags. So no text can open a candidate, or give one a number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_TAG = re.compile(r"<(?=[\s/]{0,6}candidate)", re.IGNORECASE)
_OPENING = re.compile(r'^<candidate number="([0-9]{1,9})">\n', re.MULTILINE)
_CLOSING = "\n</candidate>"


def show_candidates(texts: Sequence[str]) -> str:
    """The candidates of a prompt, numbered from 1 in their order."""
    shown = (_TAG.sub("< ", text.strip()) for text in texts)
    return "\n\n".join(f'<candidate number="{number}">\n{text}\n</candidate>' for number, text in enumerate(shown, 1))


def shown_candidates(text: str) -> dict[int, str]:
    """The candidates of a prompt by their numbers: undoes `show_candidates`, but for what was set apart."""
    opened = list(_OPENING.finditer(text))
    found: dict[int, str] = {}
    for number, opening in enumerate(opened, start=1):
        end = opened[number].start() if number < len(opened) else len(text)
        inside, closed, _ = text[opening.end() : end].partition(_CLOSING)
        if closed:
            found[int(opening[1])] = inside
    return found
