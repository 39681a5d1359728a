"""By what one recognises mathematics, a task, a proof, and where a sentence ends."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Formulas cannot contain their own opener, so an opener that nobody closes costs no scan to the end of the text.
FORMULA = (
    r"\$\$[^$]*\$\$|\$[^$]*\$"
    r"|\\\[(?:[^\\]|\\(?![\[\]]))*+\\\]"
    r"|\\\((?:[^\\]|\\(?![()]))*+\\\)"
)
"""A formula in LaTeX delimiters, as the source of a pattern."""

_STRONG = re.compile(r"\$|\\[\[(a-zA-Z]|[=<>≤≥^√∑∫π∠°]|[0-9a-z)] ?[+*/·-] ?[0-9a-z(]|\b[a-z]\([0-9a-z]")
_WEAK = re.compile(
    r"[0-9]|\[figure\]|\b(?:triangles?|circles?|squares?|angles?|primes?|integers?|polynomials?|divis\w+|functions?"
    r"|probabilit\w+|sequences?|series|equations?|inequalit\w+|numbers?|reals?|sums?|products?|areas?|volumes?|perimeter"
    r"|cubes?|spheres?|matri\w+|vectors?|graphs?|digits?|roots?|limits?|derivatives?|integrals?|permutations?|ratios?"
    r"|ways|two|three|four|five|six|seven|eight|nine|ten|dozen|twice|half|percent"
    r"|entier\w*|nombres?|números?|enteros?|zahl\w*|dreieck\w*|triángulos?)\b",
    re.IGNORECASE,
)
_TASK = re.compile(
    r"\b(?:find|prove|show|compute|calculate|determine|evaluate|solve|simplify|factor(?:i[sz]e)?|express|maximi[sz]e"
    r"|minimi[sz]e|demonstrate|disprove|verify|derive|decide|construct|integrate|differentiate|expand|estimate"
    r"|how (?:many|much|long|far|old|fast|large|small)|what(?:'s| is| are| was| will)"
    r"|which (?:of|is|are|\w+ is)|for (?:what|which)|is it (?:true|possible)|do(?:es)? there exist"
    r"|(?:is|are) there|can (?:one|we|you|it)"
    r"|hallar|halle|hallad|hállese|calcular|calcula|calcule|encontrar|encuentr[ae]|determinar|resolver|resuelv[ae]"
    r"|demostrar|demuestr[ae]|probar|prueb[ae]|cuánt[oa]s|encontre|mostre"
    r"|trouve[rz]|montre[rz]|démontre[rz]|prouve[rz]|calcule[rz]|détermine[rz]|résoudre|résolvez|combien"
    r"|zeigen?|beweisen?|bestimmen?|berechnen?|finden?|lösen?|löse|wie viele)\b",
    re.IGNORECASE,
)
_PROOF = re.compile(
    r"\b(?:prove|proof|disprove|demonstrate|show(?!\s(?:me|your|how|all)\b)|(?:verify|establish|conclude|deduce)\sthat"
    r"|demostrar|demuestr[ae]|probar\sque|prueb[ae]\sque|mostre\sque|(?:dé)?montre[rz]|prouve[rz]"
    r"|zeigen?|beweisen?)\b",
    re.IGNORECASE,
)
_VALUE_TASK = re.compile(
    r"(?:^|[.?!:;,]\s|\n|\b(?:and|then|hence|also)\s|\([a-z0-9]\)\s)"
    r"(?:find|compute|calculate|determine(?!\s(?:if|whether))|evaluate|solve|simplify|express)\b"
    r"|\b(?:how many|how much|what(?:'s| is| are)|for (?:what|which)|which\s\w+\s(?:is|are|satisf\w+))\b"
    r"|\b(?:hallar|halle|calcul[ae]r?|encontrar|encuentr[ae]|trouve[rz]|détermine[rz]|bestimmen?|berechnen?)\b",
    re.IGNORECASE,
)
# A dot before an operator or a comma is part of `1 + 2 + ... + n`.
_BREAK = re.compile(rf"{FORMULA}|(?P<end>(?<![.!?])[.!?]++[\])\"'”»]{{0,3}}+(?=\s|\Z)(?!\s*[+\-*/=<>,;)])\s*|\n\s*)")


def has_formula(text: str) -> bool:
    """Whether something is written in signs: LaTeX, an operator between operands, a function's value."""
    return _STRONG.search(text) is not None


def has_maths(text: str) -> bool:
    """Whether there is a formula, a number, a picture or a word of mathematics."""
    return has_formula(text) or _WEAK.search(text) is not None


def has_task(text: str) -> bool:
    """Whether something is asked for, in English or with the usual words of a few other languages."""
    return _TASK.search(text) is not None


def asks_proof(text: str) -> bool:
    """Whether a proof is asked for."""
    return _PROOF.search(text) is not None


def asks_value(text: str) -> bool:
    """Whether something is to be found, as an order of its own: `prove that one can find` is none."""
    return _VALUE_TASK.search(text) is not None


def pieces(text: str) -> Iterator[str]:
    """The sentences and lines of a text, each with the blanks that follow it; formulas stay whole."""
    start = 0
    for found in _BREAK.finditer(text):
        if found["end"] is not None:
            yield text[start : found.end()]
            start = found.end()
    if start < len(text):
        yield text[start:]
