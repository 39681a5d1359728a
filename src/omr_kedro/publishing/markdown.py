"""Markdown in which names that strangers gave stay names: no markup, no link, no row of a table comes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from omr_kedro.shards.printable import printable_line

_MOST_CHARS = 120
_SAME_LOOKS = str.maketrans({"`": "'", "|": "¦"})


def quoted(text: object) -> str:
    """A foreign text as a span of code, on one line, in which nothing is markup; cut after some words."""
    line = printable_line("" if text is None else str(text), _MOST_CHARS).translate(_SAME_LOOKS)
    return f"`{line}`" if line else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str | int | float]]) -> str:
    """A table whose columns of numbers stand to the right; its texts are our own, or `quoted`."""
    cells = [[_cell(value) for value in row] for row in rows]
    numbers = [bool(cells) and all(_is_number(row[place]) for row in cells) for place in range(len(head))]
    lines = [list(head), ["---:" if number else "---" for number in numbers], *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "", 1).isdigit() or not cell
