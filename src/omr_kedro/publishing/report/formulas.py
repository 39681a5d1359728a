r"""Texts with formulas as HTML: formulas become MathML, which browsers draw by themselves; all else is text.

The texts are of strangers. latex2mathml reads a formula into a tree of elements; of these only elements and attributes
that draw are written, by our own writer (the library's writes text of `\text{…}` as markup).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape, unescape
from xml.etree.ElementTree import Element

from omr_kedro.shards import printable

MOST_CHARS = 2000
"""Of a formula that is drawn; nested ones take time that grows faster than they do."""

_FORMULA = re.compile(
    r"\$\$(.{1,2000}?)\$\$|\\\[(.{1,2000}?)\\\]|\\\((.{1,2000}?)\\\)|(?<!\\)\$(?! )([^$\n]{1,2000}?)(?<!\\)\$",
    re.DOTALL,
)
_DEFINES = re.compile(r"\\(?:[gex]?def|let|(?:re)?newcommand|providecommand|DeclareMathOperator)(?![A-Za-z])")
"""Commands that define commands: a few of them, each made of the one before, unfold without end."""
_DISPLAYED = (1, 2)
"""Groups of formulas that stand on a line of their own."""
_ALONE = re.compile(r"\\[A-Za-z]|[\^_]")

_names = re.compile(r"\w+").findall

# Without links, pictures, actions and annotations in other languages, which MathML has as well.
ELEMENTS = frozenset(
    _names("""
        math mrow mi mn mo mtext mspace mfrac msqrt mroot mstyle mpadded mphantom menclose
        msub msup msubsup munder mover munderover mmultiscripts mprescripts none mtable mtr mtd
    """)
)
"""Elements of MathML that draw."""
_WORDS = frozenset(
    _names("""
        displaystyle scriptlevel stretchy fence form separator accent accentunder movablelimits largeop symmetric
        display columnalign columnlines rowlines mathvariant notation
    """)
)
_LENGTHS = frozenset(
    _names("minsize maxsize linethickness columnspacing rowspacing width height depth lspace rspace voffset")
)
_WORD = re.compile(r"[A-Za-z0-9+ -]{1,40}")
_LENGTH = re.compile(r"[+-]?\d{0,2}(?:\.\d{1,4})?(?:em|ex|mu|px|pt)?")


def typeset(text: str) -> str:
    r"""A text as HTML, with the formulas between its signs (`$…$`, `$$…$$`, `\(…\)`, `\[…\]`) drawn."""
    return "".join(_pieces(printable(text)))


def typeset_answer(text: str) -> str:
    """An answer as HTML: a formula where it looks like one, signs or none."""
    text = printable(text)
    return _drawn(text, text, displayed=False) if _ALONE.search(text) and "$" not in text else typeset(text)


def _pieces(text: str) -> Iterator[str]:
    end = 0
    for found in _FORMULA.finditer(text):
        yield escape(text[end : found.start()])
        group = found.lastindex or 0
        yield _drawn(found[group], found[0], displayed=group in _DISPLAYED)
        end = found.end()
    yield escape(text[end:])


def _drawn(formula: str, written: str, *, displayed: bool) -> str:
    """MathML of a formula; the formula as it was written where it cannot be read."""
    if len(formula) <= MOST_CHARS and not _DEFINES.search(formula):
        # latex2mathml takes a tenth of a second to import, which a run without a report does not pay.
        from latex2mathml.converter import Converter  # noqa: PLC0415

        converter = Converter(display="block" if displayed else "inline")
        try:
            return "".join(_written(converter.convert_to_element(formula)))
        except Exception:  # noqa: S110 (readers of formulas raise anything; the text is shown instead)
            pass
    return f"<code>{escape(written)}</code>"


def _written(element: Element) -> Iterator[str]:
    """The element as HTML.

    Raises:
        ValueError: it is none that draws.
    """
    if element.tag not in ELEMENTS:
        raise ValueError(element.tag)
    attributes = "".join(f' {name}="{value}"' for name, value in element.attrib.items() if _draws(name, value))
    yield f"<{element.tag}{attributes}>"
    # Characters are written as references by the library; those of the text itself come out the same.
    yield escape(printable(unescape(element.text or "")))
    for child in element:
        yield from _written(child)
    yield f"</{element.tag}>"


def _draws(name: str, value: str) -> bool:
    form = _WORD if name in _WORDS else _LENGTH if name in _LENGTHS else None
    return bool(form and form.fullmatch(value))
