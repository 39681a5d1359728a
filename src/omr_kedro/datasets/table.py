"""A finished table for people: a picture of it, and the ways to open it in other libraries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from itertools import islice
from typing import Any, ClassVar

import pandas as pd
import pyarrow as pa

from omr_kedro.shards import OmrError, Row, Shards, printable, printable_name
from omr_kedro.shards.batches import Most, batches
from omr_kedro.shards.printable import printable_line
from omr_kedro.tables.columns import texts_first

_BATCH = Most(rows=1024, bytes=1 << 20)

# What is shown of a table: rows, columns, characters of a value.
_ROWS_IN_TEXT = 3
_WIDTH_IN_TEXT = 22
_ROWS_IN_HTML = 5
_CELL = 200
_MOST_COLUMNS = 40
_MOST_TYPESET = 20_000
"""Characters of a text that is shown whole: the longest statements have some thousand."""

# Integers and truth values stay what they are where some are missing: pandas would make them floats and objects.
_TYPES = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}

# Formulas that stand alone, as answers do, lack the signs around them.
_LOOKS_LIKE_FORMULA = re.compile(r"\\[A-Za-z]|\^")
_HAS_SIGNS = re.compile(r"\$|\\\(|\\\[|\\begin\{")
_WORDS = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")


class Table(Shards):
    """`Shards` that know their name and columns: what `catalog.load` gives of a table.

    Its rows are the text of strangers; what is shown of them is cut, and harmless in terminals and in HTML.
    """

    digested_as: ClassVar[type[Shards]] = Shards
    """Nodes see no more: what is made of a table here and in a job, where it is plain `Shards`, is the same."""

    def __init__(self, name: str, schema: pa.Schema, shards: Shards) -> None:
        super().__init__(shards.values(), whole=shards.whole)
        self.name = name
        self.schema = schema

    def head(self, count: int = 5) -> pd.DataFrame:
        """The first rows; reads no more than these."""
        return _frame(pa.Table.from_batches(_arrow(islice(self.rows(), count), self.schema), self.schema))

    def to_arrow(self) -> pa.Table:
        """All rows as an Arrow table, all of them in memory at once."""
        return pa.Table.from_batches(_arrow(self.rows(), self.schema), self.schema)

    def to_pandas(self) -> pd.DataFrame:
        """All rows as a pandas DataFrame, all of them in memory at once, twice for a moment."""
        return _frame(self.to_arrow())

    def typeset(self, *columns: str, count: int = 10) -> Typeset:
        """The first rows for a notebook that typesets their formulas.

        Args:
            columns: those to show; without any, all, texts first.
            count: how many rows.

        Raises:
            KeyError: the table has no such column.
        """
        if unknown := set(columns) - set(self.schema.names):
            raise KeyError(f"{self.name} has no {', '.join(sorted(unknown))}, but {', '.join(self.schema.names)}")
        shown = columns or texts_first(self.schema.names)
        return Typeset(shown, list(islice(self.rows(), count)))

    def __repr__(self) -> str:
        """Name and sizes; each column with what the first rows hold."""
        columns, rows = self._shown(_ROWS_IN_TEXT)
        lines = [
            f"  {name[:_WIDTH_IN_TEXT]:<{_WIDTH_IN_TEXT}}  {'  '.join(_padded(row.get(name)) for row in rows)}".rstrip()
            for name in columns
        ]
        return "\n".join([self._title(), *lines, *self._left_out(), "  " + _WAYS])

    def _repr_html_(self) -> str:
        """The same for a notebook, with the first rows below each other."""
        columns, rows = self._shown(_ROWS_IN_HTML)
        table = _html_table(columns, rows, lambda value: escape(_one_line(value, _CELL)))
        notes = "".join(f"<div>{escape(line)}</div>" for line in (*self._left_out(), _WAYS))
        return f"<div><div><b>{escape(self._title())}</b></div>{table}{notes}</div>"

    def _title(self) -> str:
        part = "" if self.whole else " (a part of the table)"
        return (
            f"{printable_name(self.name)}: {self.count:,} rows in {len(self):,} shards, "
            f"{len(self.schema.names)} columns{part}"
        )

    def _shown(self, count: int) -> tuple[list[str], list[Row]]:
        columns = texts_first(self.schema.names)[:_MOST_COLUMNS]
        try:
            return columns, list(islice(self.rows(), count))
        except (OSError, ValueError, OmrError):  # of Arrow and JSON as well: a picture raises nothing
            return columns, []

    def _left_out(self) -> list[str]:
        more = len(self.schema.names) - _MOST_COLUMNS
        return [f"… and {more} more columns"] if more > 0 else []


_WAYS = ".head(n), .to_pandas(), .to_arrow(), .rows(); .typeset() shows formulas"


class Typeset:
    """Rows of a table with whole texts, for Jupyter, whose MathJax finds formulas between their signs (`$…$`)."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Row]) -> None:
        self._columns = columns
        self._rows = rows

    def __repr__(self) -> str:
        """The texts as they were written, where nothing typesets them."""
        return "\n\n".join(
            "\n".join(f"{name}: {_cut(printable(str(row.get(name))), _CELL)}" for name in self._columns)
            for row in self._rows
        )

    def _repr_html_(self) -> str:
        """A table whose texts keep their line breaks; tags in them are text."""
        return f'<div class="typeset">{_html_table(self._columns, self._rows, _with_formulas, "pre-wrap")}</div>'


def _with_formulas(value: Any) -> str:
    text = _cut(printable("" if value is None else str(value)), _MOST_TYPESET)
    alone = _LOOKS_LIKE_FORMULA.search(text) and not _HAS_SIGNS.search(text) and not _WORDS.search(text)
    return escape(f"\\({text}\\)" if alone else text)


def _html_table(columns: Iterable[str], rows: Sequence[Row], cell: Callable[[Any], str], space: str = "normal") -> str:
    style = f"text-align: left; vertical-align: top; max-width: 40em; white-space: {space}; overflow-wrap: anywhere"
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f'<td style="{style}">{cell(row.get(name))}</td>' for name in columns) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _arrow(rows: Iterable[Row], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    return (pa.RecordBatch.from_pylist(batch, schema=schema) for batch in batches(rows, _BATCH))


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper=_TYPES.get)
    return frame


def shortened(value: Any) -> Any:
    """A value as a picture of a table shows it: long texts cut, harmless to print; numbers as they are."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return _cut(printable(str(value)[: 2 * _CELL]), _CELL)


def _padded(value: Any) -> str:
    return f"{_one_line(value, _WIDTH_IN_TEXT):<{_WIDTH_IN_TEXT}}"


def _one_line(value: Any, most: int) -> str:
    return printable_line("" if value is None else str(value), most - 1)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
