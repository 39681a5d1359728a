"""Charts as inline SVG: bars, with their numbers beside them. Names are foreign and become text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from omr_kedro.shards.printable import printable_line

COLOURS = {"kept": "#2a9d8f", "dropped": "#e9c46a", "failed": "#e76f51"}
"""As in the plots of Kedro-Viz (`pipelines/report`)."""
PLAIN = "#457b9d"

_ROW, _BAR = 24, 16
_LABEL, _BARS, _NUMBER = 230, 420, 190
_MOST_LABEL = 34


class Bar(NamedTuple):
    """A bar of parts, each of a colour."""

    label: str
    parts: Sequence[tuple[float, str]]
    """Lengths in the units of the chart, with their colours."""
    told: str
    """Words for its numbers, at its end."""


def bars(title: str, rows: Sequence[Bar]) -> str:
    """A chart of horizontal bars, one below the other; the longest takes the whole width."""
    most = max((sum(length for length, _ in row.parts) for row in rows), default=0) or 1
    body = "".join(_bar(row, place, most) for place, row in enumerate(rows))
    width, height = _LABEL + _BARS + _NUMBER, max(1, len(rows)) * _ROW
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def counts(title: str, numbers: Mapping[str, float], unit: str = "") -> str:
    """A chart of one bar for each name, in the order given."""
    return bars(
        title, [Bar(name, [(number, PLAIN)], f"{number:,.0f} {unit}".strip()) for name, number in numbers.items()]
    )


def histogram(title: str, shares: Mapping[int, int], unit: str) -> str:
    """A chart of shares in tenths: how many lie in each, from 0 (below 0.1) to 9 (0.9 and more)."""
    return counts(
        title, {f"{tenth / 10:.1f} to {(tenth + 1) / 10:.1f}": shares.get(tenth, 0) for tenth in range(10)}, unit
    )


def _bar(row: Bar, place: int, most: float) -> str:
    top, start = place * _ROW + (_ROW - _BAR) / 2, float(_LABEL)
    pieces = [_text(_LABEL - 8, place, row.label, ' text-anchor="end"')]
    for length, colour in row.parts:
        width = length / most * _BARS
        if width > 0:
            pieces.append(f'<rect x="{start:.1f}" y="{top:g}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>')
        start += width
    pieces.append(_text(start + 6, place, row.told))
    return "".join(pieces)


def _text(x: float, place: int, text: str, more: str = "") -> str:
    middle = place * _ROW + _ROW / 2 + 4
    return f'<text x="{x:.1f}" y="{middle:g}"{more}>{escape(printable_line(text, _MOST_LABEL))}</text>'
