"""Texts that strangers may write to make a reader slow or wrong: small shapes, repeated to any size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

UNITS: dict[str, str] = {
    "blanks": " ",
    "blank_lines": "\n",
    "blanks_then_line": " " * 500 + "\n",
    "tabs": "\t",
    "unicode_blanks": "\u00a0\u2003\u3000",
    "separators": "\x1c\x1d\x1e\x1f",
    "row_separators": "\x1e",
    "vertical_blanks": "\x0b\x0c\x85\u2028\u2029",
    "nuls": "\x00",
    "backslashes": "\\",
    "backslash_blanks": "\\ ",
    "thin_spaces": "\\, \\! \\; ",
    "openers": "{",
    "closers": "}",
    "braces": "{}",
    "parentheses": "(",
    "brackets": "[",
    "closed_parentheses": "()",
    "set_openers": "\\{ ",
    "delimiters": "\\( \\[ ",
    "dollars": "$",
    "spaced_dollars": "$ ",
    "formulas": "$x$ and ",
    "begins": "\\begin{pmatrix}",
    "matrices": "\\begin{pmatrix}1&2\\\\3\\end{pmatrix}",
    "boxes": "\\boxed{",
    "closed_boxes": "\\boxed{1} ",
    "fonts": "\\text{a",
    "spaced_fonts": "\\text {a ",
    "fractions": "\\frac{1}{",
    "mixed_numbers": "2\\frac{",
    "bare_fractions": "\\frac",
    "roots": "\\sqrt{",
    "indexed_roots": "\\sqrt[3]{",
    "binomials": "\\binom{i}{2}",
    "sines": "\\sin ",
    "towers": "2^",
    "braced_towers": "2^{",
    "factorials": "!",
    "subscripts": "x_{",
    "primes": "x'",
    "digits": "1",
    "grouped_digits": "1,000",
    "spaced_digits": "1 000 ",
    "decimals": "1.",
    "scientific": "1e9",
    "zeros": "0",
    "signs": "-",
    "spaced_signs": "- ",
    "plus_minus": "\\pm ",
    "commas": ",",
    "spaced_commas": ", ",
    "lists": "1, ",
    "equals": "=",
    "equations": "x=",
    "inequalities": "1<",
    "unions": "(1,2)\\cup ",
    "percents": "%",
    "degrees": "^\\circ ",
    "units": "5 cm ",
    "square_units": "sq. cm^2 ",
    "words": "word ",
    "capitals": "A",
    "capital_words": "ABC ",
    "letters": "a",
    "conjunctions": " and ",
    "integers": "where k is an integer ",
    "memberships": " k \\in \\mathbb{Z}",
    "congruences": "1 \\equiv ",
    "moduli": "1 mod ",
    "sentences": "Find all x. ",
    "questions": "Is it true? ",
    "unasked": "is a does ",
    "dots": ".",
    "ellipses": "... ",
    "exclamations": "a! ",
    "apostrophes": "it's ",
    "hyphens": "non-",
    "options": "(A) ",
    "parts": "(a) 1 ",
    "posts": "Post 1:\n",
    "numbered_posts": "Post 1:\nx\n\n",
    "headings": "Problem 1:\n",
    "converted": "Converted problem:",
    "numbered_headings": "**Problem 1.** ",
    "notes": "Problem 1 (",
    "list_markers": "- * + ",
    "numbered": "1. ",
    "numbered_lines": "1.\n",
    "hashes": "#",
    "stars": "*",
    "bold": "**a** ",
    "bold_openers": " **a",
    "underscores": "_",
    "rules": "---\n",
    "fences": "```\n",
    "backticks": "`",
    "quotes": "[quote=",
    "quote_openers": "[quote]",
    "quote_closers": "[/quote]",
    "quoted": '[quote="a"]b[/quote]',
    "quote_attributes": '[quote="a',
    "quote_blanks": "[quote ",
    "hidden": "[hide]",
    "hidden_blanks": "[hide =",
    "colours": "[color=red]",
    "closed_tags": "[/b]",
    "markup": "<b>",
    "markup_openers": "<",
    "raised": "<sup>2",
    "entities": "&nbsp;&amp;",
    "ampersands": "&",
    "images": "![a](",
    "addresses": "http://a/",
    "thoughts": "<think>",
    "thoughts_closed": "</think>",
    "labels": "Label: proof\n",
    "json_labels": '{"label": ',
    "answers": "Answer: 1\n",
    "answer_words": "answer ",
    "answer_is": "the answer is ",
    "spaced_answers": "answer to a ",
    "missing_answers": "Answer not found. ",
    "no_problems": "no problems identified ",
    "verdicts": "so the label is ",
    "denials": "not converted cannot be ",
    "proofs": "Prove that ",
    "claims": "for all a, we have ",
    "divisible": "n is divisible by ",
    "only_solutions": "the only solutions of ",
    "greetings": "hello, ",
    "leads": "the problem is: ",
    "quotation_marks": "\"'“”",
    "combining": "a\u0301",
    "combining_run": "\u0301",
    "right_to_left": "\u202e\u200f",
    "emoji": "\U0001f600",
    "arabic_digits": "\u0661",
    "superscripts": "²",
    "root_signs": "√ ",
    "ligatures": "\ufdfa",
    "surrogates": "\ud800",
    "newline_pairs": "\r\n",
}
"""By name; each is repeated."""

_LEADS = ("$", "\\boxed{", "answer", "[quote", "x =", "\\{", "\\sum_", "with", ". ", "5", "Problem", "Post 1:")
_RUNS = {"blanks": " ", "letters": "a", "digits": "1", "words": "ab "}


def shapes() -> dict[str, Callable[[int], str]]:
    """Makers of texts of any size, by name.

    Each ends in signs that no run ends in, so that nothing is found at the end. First the units by themselves, then
    runs behind what brings a pattern under way.
    """
    alone: dict[str, Callable[[int], str]] = {
        name: partial(text_of, unit, end="\x01;x") for name, unit in UNITS.items()
    }
    led: dict[str, Callable[[int], str]] = {
        f"{name} after {lead!r}": partial(text_of, unit, lead=lead, end="\x01;x")
        for lead in _LEADS
        for name, unit in _RUNS.items()
    }
    return alone | led


def text_of(unit: str, chars: int, lead: str = "", end: str = "") -> str:
    """The unit again and again after `lead`, `chars` characters in all, then `end`."""
    return (lead + unit * (chars // len(unit) + 1))[: chars - len(end)] + end
