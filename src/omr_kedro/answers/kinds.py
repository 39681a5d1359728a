"""The kinds of short answers, and an answer taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from omr_kedro.answers.trees import Expr


class Kind(StrEnum):
    """The form in which an answer is written."""

    VALUE = "value"
    """A number or an expression; without a tree when this module can't read it."""
    TUPLE = "tuple"
    INTERVAL = "interval"
    UNION = "union"
    """Of intervals and sets."""
    SET = "set"
    """In braces."""
    LIST = "list"
    """Several values with commas, `and` or `or`; as a set, but for how it compares with a tuple."""
    PARTS = "parts"
    """One answer for each part of a problem, in their order: `(a) 3, (b) 5`."""
    MATRIX = "matrix"
    """Rows of values."""
    RELATION = "relation"
    """An equation or inequality that doesn't just give a name to a value."""
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer taken apart."""

    kind: Kind
    text: str
    """In one spelling."""
    parts: tuple[Reading, ...] = ()
    tree: Expr | None = None
    unit: str = ""
    label: str = ""
    """Left of the equals sign: a name for the value."""
    marks: str = ""
    """Brackets of an interval, or the sign of a relation."""
