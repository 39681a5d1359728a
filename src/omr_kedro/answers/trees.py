"""Formulas as trees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

CONSTANTS = frozenset({"\\pi", "e", "i"})
INFINITY = "\\infty"


@dataclass(frozen=True, slots=True)
class Expr:
    """A node: `op` with `args`, a number with its `value`, or a symbol or function with its `name`."""

    op: str
    args: tuple[Expr, ...] = ()
    name: str = ""
    value: Fraction = Fraction(0)


AMBIGUOUS = Expr("ambiguous")
"""Stands for a text such as `1/2x`, that is compared as it stands."""
DEGREE = Expr("div", (Expr("symbol", name="\\pi"), Expr("number", value=Fraction(180))))


def number(value: int | Fraction) -> Expr:
    """A number as a tree."""
    return Expr("number", value=Fraction(value))


def difference(left: Expr, right: Expr) -> Expr:
    """The tree of `left - right`."""
    return Expr("add", (left, Expr("neg", (right,))))


def depth(tree: Expr) -> int:
    """How many nodes stand on the longest way from the root to a leaf, both counted."""
    levels, level = 0, [tree]
    while level:
        level = [arg for node in level for arg in node.args]
        levels += 1
    return levels


def size(tree: Expr) -> int:
    """How many nodes there are."""
    return 1 + sum(size(arg) for arg in tree.args)


def names_in(tree: Expr) -> Iterator[str]:
    """Names of all symbols, constants too, as often as they stand there."""
    if tree.op == "symbol":
        yield tree.name
    for arg in tree.args:
        yield from names_in(arg)


def symbols(tree: Expr) -> frozenset[str]:
    """Names of all symbols but π, e, i and infinity."""
    return frozenset(names_in(tree)) - CONSTANTS - {INFINITY}


def renamed(tree: Expr, old: str, new: str) -> Expr:
    """The tree with one symbol under another name."""
    if tree.op == "symbol" and tree.name == old:
        return Expr("symbol", name=new)
    return replace(tree, args=tuple(renamed(arg, old, new) for arg in tree.args)) if tree.args else tree
