"""Output of a stranger's code as text: decoded, without what steers a terminal or differs by chance, cut at a limit."""

from __future__ import annotations

import re

from omr_kedro.sandbox.limits import CUT_MARK

_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]?")
"""Whole escape sequences (ECMA-48: control sequences, operating system commands, the two-byte ones)."""
_ADDRESSES = re.compile(r"(?<= at )0x[0-9a-f]{8,16}(?=>)")
"""Of objects that have no better representation; they differ from process to process and tell nothing."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def readable(data: bytes, characters: int, *, cut: bool = False) -> str:
    """The text that a caller gets.

    Args:
        data: UTF-8, or anything.
        characters: limit; what is beyond it is replaced by a mark.
        cut: whether the session has already left something out.
    """
    # Cut bytes may end within a character.
    text = data.decode("utf-8", "ignore" if cut else "replace").replace("\r\n", "\n")
    text = _ADDRESSES.sub("0x…", _CONTROLS.sub("", _SEQUENCES.sub("", text)))
    return text if len(text) <= characters and not cut else text[:characters] + CUT_MARK
