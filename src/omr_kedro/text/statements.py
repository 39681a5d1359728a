"""Problem statements as models write them: taken out of the markup around them, left alone inside."""

from __future__ import annotations

import re

# Bold opens after space and closes before space or punctuation; `x**2` and `V^{**}` do neither.
_BOLD = re.compile(
    r"""(?<![^\s("'“‘])\*\*(?=[^\s*])
        ((?:(?!\*\*).)+)
        (?<=\S)\*\*(?![^\s.,;:!?)\]"'’”])""",
    re.DOTALL | re.VERBOSE,
)
_RULE = re.compile(r"(?:-{3,}|={3,}|\*{3,})?")


def after_marker(marker: re.Match[str], text: str) -> str:
    """The text that follows a marker, with the emphasis that the marker opened closed or handed on.

    Models write `**Problem 1:** text`, `**Problem 1**: text` and `**Problem 1: text**`: in the last form the emphasis
    belongs to the statement.

    Args:
        marker: a match with the groups `lead` (all before the word) and `close` (all after the word or its number).
        text: what follows the match.
    """
    lead = marker["lead"]
    emphasis = lead[len(lead.rstrip("*_")) :]
    text = text.strip()
    if not emphasis or emphasis in marker["close"]:
        return text
    if text.startswith(emphasis):
        return text.removeprefix(emphasis)
    return emphasis + text if emphasis == "**" else text.removesuffix(emphasis)


def tidy(statement: str) -> str:
    """The statement without bold marks, and without rules, blank lines and stray marks at its ends."""
    text = _without_rules(_BOLD.sub(r"\1", statement))
    return text.removeprefix("**").removesuffix("**").strip()


def _without_rules(text: str) -> str:
    lines = text.split("\n")
    kept = [number for number, line in enumerate(lines) if not _RULE.fullmatch(line.strip())]
    return "\n".join(lines[kept[0] : kept[-1] + 1]).strip() if kept else ""
