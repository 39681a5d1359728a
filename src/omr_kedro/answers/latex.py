"""Formulas without what does not change their meaning: delimiters, spacing, sizes, fonts, other spellings."""

from __future__ import annotations

import re

from omr_kedro.text.boxes import without_boxes

_SIGNS = str.maketrans(
    {
        "²": "^{2}", "³": "^{3}", "⁴": "^{4}", "½": "\\frac{1}{2}", "−": "-", "–": "-", "×": "\\times ", "·": "\\cdot ",
        "⋅": "\\cdot ", "÷": "/", "√": "\\sqrt ", "π": "\\pi ", "∞": "\\infty ", "°": "^{\\circ}", "≤": "\\le ",
        "≥": "\\ge ", "≠": "\\ne ", "±": "\\pm ", "∪": "\\cup ", "∩": "\\cap ", "∈": "\\in ", "∅": "\\emptyset ",
        "≈": "\\approx ", "…": "\\ldots ", "ℝ": "\\mathbb{R}", "ℤ": "\\mathbb{Z}", "α": "\\alpha ", "β": "\\beta ",
        "θ": "\\theta ", "\u00a0": " ", "∣": "|", "’": "'",
    }
)  # fmt: skip
_SPELLINGS = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom", "leq": "le",
    "leqslant": "le", "geq": "ge", "geqslant": "ge", "lt": "<", "gt": ">", "neq": "ne", "lbrace": "{", "rbrace": "}",
    "lvert": "|", "rvert": "|", "vert": "|", "colon": ":", "dots": "ldots", "cdots": "ldots", "dotsc": "ldots",
    "varnothing": "emptyset", "cdotp": "cdot", "degree": "circ", "to": "rightarrow", "mod": "bmod", "ast": "cdot",
}  # fmt: skip
_AS_SIGNS = frozenset({"<", ">", "|", ":"})
_DROPPED = frozenset(
    {
        "left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl", "biggr", "Biggl",
        "Biggr", "displaystyle", "textstyle", "limits", "nolimits", "middle",
    }
)  # fmt: skip
_SPACES = frozenset({"quad", "qquad", "enspace", "thinspace"})
_COMMAND = re.compile(r"\\([a-zA-Z]+) ?(\{?)")
_FONT = re.compile(
    r"\\(?:(?P<maths>mathbf|mathit|boldsymbol|bm|mathrm|operatorname\*?|mathsf|mathcal)"
    r"|(?P<text>text|textrm|textbf|textit|textnormal|mbox|hbox|texttt))\s?\{(?P<inside>[^{}]*)\}"
)
_BARE_SET = re.compile(r"\\mathbb {1,2}([A-Z])(?![a-zA-Z])")
_DELIMITERS = re.compile(r"\\[()\[\]](?![a-zA-Z])|(?<!\\)\$|\A\*\*|\*\*\Z|&nbsp;|\\null\b")
_THIN_SPACE_IN_NUMBER = re.compile(r"(?<=\d)(?:\\[,;: ]|\{,\}|\\!,|,\\!)(?=\d{3}(?!\d))")
_THIN_SPACE = re.compile(r"\\[,;: ]|(?<!\\)~")
_NEGATIVE_SPACE = re.compile(r"\\!")
_ROOT_SIGN = re.compile(r"√ ?(\d{2,})")
_SCIENTIFIC = re.compile(r"\A\s*(-?\d+(?:\.\d+)?)[eE]([+-]?\d+)\s*\Z")
_BLANK = re.compile(r"[^\S\x1e]+")
NEW_ROW = "\x1e"
"""Stands for the two backslashes that end a row of a matrix."""
_ASCII_RELATION = {"<=": "\\le ", ">=": "\\ge ", "!=": "\\ne "}
_RELATION = re.compile(r"<=|>=|!=")
_FUNCTIONS = frozenset(
    {
        "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "ln", "log",
        "exp", "gcd", "lcm", "max", "min", "lg",
    }
)  # fmt: skip


def plain_latex(text: str) -> str:
    r"""The formula in one spelling.

    `\dfrac` becomes `\frac`, `\leq` `\le`, `\mathbb Z` `\mathbb{Z}`, fonts go, words stay inside `\text{…}`, boxes and
    delimiters go, white space is one blank, and final punctuation (but for `!`, which may be a factorial) goes.
    """
    text = _SCIENTIFIC.sub(r"\1 \\cdot 10^{\2}", text)
    text = _ROOT_SIGN.sub(r"\\sqrt{\1}", text).translate(_SIGNS)
    if "\\boxed" in text or "\\fbox" in text:
        text = without_boxes(text)
    if any(sign in text for sign in "\\$*&{"):
        text = _without_dress(text)
    if "=" in text:
        text = _RELATION.sub(lambda found: _ASCII_RELATION[found[0]], text)
    return _BLANK.sub(" ", text).strip(" ").rstrip(".,;: ").lstrip("=: ")


def _without_dress(text: str) -> str:
    text = _THIN_SPACE_IN_NUMBER.sub("", text.replace("\\\\", NEW_ROW))
    text = _DELIMITERS.sub(" ", text)
    text = _NEGATIVE_SPACE.sub("", _THIN_SPACE.sub(" ", text))
    text = _BARE_SET.sub(r"\\mathbb{\1}", text)
    text = _FONT.sub(_font, text)
    return _COMMAND.sub(_command, text)


def _font(found: re.Match[str]) -> str:
    inside = found["inside"].strip()
    if not inside:
        return " "
    if found["text"] or (len(inside) > 1 and found["maths"].startswith(("mathrm", "operatorname"))):
        return f"\\{inside} " if inside in _FUNCTIONS else f"\\text{{{inside}}}"
    return f" {inside} "


def _command(found: re.Match[str]) -> str:
    name, brace = found.groups()
    if name in _DROPPED:
        return brace
    if name in _SPACES:
        return " " + brace
    name = _SPELLINGS.get(name, name)
    if name in _AS_SIGNS:
        return name + brace
    # A blank ends the command, so that what follows it never changes its name.
    return f"\\{name}{brace}" if brace or name in "{}" else f"\\{name} "
