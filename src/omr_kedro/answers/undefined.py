r"""Symbols of an answer that nobody has defined: not the problem, not the answer itself, not convention."""

from __future__ import annotations

import re
from collections.abc import Iterator

from omr_kedro.answers.kinds import Kind
from omr_kedro.answers.latex import plain_latex
from omr_kedro.answers.lexer import FUNCTIONS, GREEK
from omr_kedro.answers.readings import MAX_CHARS, read_answer
from omr_kedro.answers.words import has_words, split_unit, with_integers

# Each opener looks no further than to the next one: time is linear in the text.
_FORMULA = re.compile(r"\$\$?([^$]+)\$\$?|\\\(((?:(?!\\[()]).)+)\\\)|\\\[((?:(?!\\[\[\]]).)+)\\\]", re.DOTALL)
_TEXT = re.compile(
    r"\\text\{[^{}]*\}|\\mathbb\{[^{}]*\}(?:[_^]\{?[+*\w]\}?)?|\\(?:begin|end) ?\{[^{}]*\}(?:\{[^{}]*\})?"
)
_SUBSCRIPT = re.compile(r"_\s*(?:\{[^{}]*\}|\\[a-zA-Z]+|\w)")
_RUN = re.compile(r"\\([a-zA-Z]+)|([a-zA-Z]+)")
_NAMES = FUNCTIONS | {"sqrt", "pi", "gcd", "lcm", "max", "min", "mod", "lg", "deg", "det", "arg", "dim", "rank", "tr"}
_LONGEST_FIRST = sorted(_NAMES, key=lambda name: (-len(name), name))
_SMALL_WORDS = frozenset(
    {"or", "if", "is", "in", "of", "to", "at", "an", "no", "so", "as", "by", "be", "we", "it", "on"}
)
_PART = re.compile(r"(?:^|(?<=[\s,;]))\((?:[a-h]|i{1,3}|iv|v)\)(?=\s)")
_LETTER_UNIT = re.compile(r"(?<=\d) [mshgl]$")
_CONSTANTS = frozenset({"pi", "e", "i", "infty"})
_STANDARD_FUNCTIONS = re.compile(r"(?:\\(?:phi|varphi|tau|sigma|mu|zeta|Gamma|Phi)\s*|[CP])\(")
_BOUND = re.compile(
    r"(?<![a-zA-Z\\])(?P<member>\\?[a-zA-Z]++)\s*+(?:\\in\b|\\notin\b)"
    r"|\\forall\s*+(?P<all>\\?[a-zA-Z]++)"
    r"|\\(?:sum|prod|lim|bigcup|max|min)\s*+_\s*+\{?\s*+(?P<index>\\?[a-zA-Z]++)"
    r"|\bd(?P<differential>[a-z]|\\[a-zA-Z]++)\b"
    r"|\\\{(?P<builder>(?:[^:|{}\\]|\\(?!mid))*+)(?:[:|]|\\mid)"
)
_DIFFERENTIAL = re.compile(r"\bd(?:[a-z]|\\[a-zA-Z]+)\b")
_DESCRIBED = re.compile(
    r"\b(?:where|for|with|any|all|every|some|constants?|integers?|reals?|numbers?|arbitrary)\s++(?:\w{1,30}\s++){0,3}?"
    r"\$?(?P<after>\\?[a-zA-Z](?:\s*+,\s*+[a-zA-Z])*+)\$?(?![a-zA-Z])"
    r"|\$?(?<![a-zA-Z])(?P<before>\\?[a-zA-Z])\$?\s++(?:is|are|being|denotes?)\b"
)
_INTEGRATION = re.compile(r"\\int|integra|antiderivative|differential equation|primitive", re.IGNORECASE)
_COORDINATES = re.compile(r"equation|locus|curve|graph|line|circle|plane|parabola|ellipse|hyperbola", re.IGNORECASE)
_MATH_LIKE = re.compile(
    r"[a-zA-Z](?=\s*[\^_=+*/<>()|!-]|\d)|(?<=[\^=+*/<>(|\d-])\s*[a-zA-Z](?![a-z]{2})|\b[A-Z]{2,6}\b"
)
_ALONE = re.compile(r"(?<![\w'’])(?:[b-zB-HJ-Z]|[aAI](?=\s*(?:,\s*[a-z]\b|and [a-z]\b)))(?![\w'’])")


def undefined_symbols(answer: str, statement: str) -> tuple[str, ...]:
    r"""Symbols of the answer that the statement does not use, in their order.

    Not counted: constants (π, e, i), names of functions, words and units, indices, what stands left of `=` as a name
    for the value, what the answer introduces (`k \in \mathbb{Z}`, `where k is an integer`, sums, integrals, sets by a
    condition), `+ C` of an integral, and coordinates in the equation of a curve. Doubtful letters of the statement
    count as defined: a flag should be worth a look. A text of more than `MAX_CHARS` is no short answer and has none.
    """
    if len(answer) > MAX_CHARS:
        return ()
    known = _symbols_of_statement(statement) | _introduced(answer, statement)
    return tuple(dict.fromkeys(name for name in _symbols_of_answer(answer) if name not in known))


def _symbols_of_answer(answer: str) -> Iterator[str]:
    text = with_integers(plain_latex(answer))
    if read_answer(answer).kind in {Kind.TEXT, Kind.PARTS} and has_words(_TEXT.sub(" ", text)):
        # Prose: only what is marked as a formula holds symbols.
        text = " ".join(plain_latex(next(filter(None, found), "")) for found in _FORMULA.findall(answer))
    text = _STANDARD_FUNCTIONS.sub("(", _LETTER_UNIT.sub("", split_unit(_PART.sub(" ", text))[0]))
    yield from _letters(_SUBSCRIPT.sub(" ", _TEXT.sub(" ", text)))


def _letters(formula: str) -> Iterator[str]:
    for command, run in _RUN.findall(formula):
        if command:
            if command in GREEK - _CONSTANTS:
                yield command
        elif run not in _NAMES and run not in _SMALL_WORDS and len(run) <= 4:
            yield from (letter for letter in _without_function(run) if letter not in _CONSTANTS)


def _without_function(run: str) -> str:
    """`lnx` is a function of x."""
    name = next((name for name in _LONGEST_FIRST if run.startswith(name)), "")
    return run.removeprefix(name)


def _symbols_of_statement(statement: str) -> set[str]:
    formulas = [plain_latex(next(filter(None, found), "")) for found in _FORMULA.findall(statement)]
    found = {letter for formula in formulas for letter in _letters_and_indices(formula)}
    prose = plain_latex(_FORMULA.sub(" ", statement))
    found |= {letter for match in _MATH_LIKE.finditer(prose) for letter in match[0].strip()}
    found |= {match[0] for match in _ALONE.finditer(prose)}
    return found | {command for command, _ in _RUN.findall(prose) if command in GREEK}


def _letters_and_indices(formula: str) -> Iterator[str]:
    for command, run in _RUN.findall(_TEXT.sub(" ", formula)):
        yield from [command] if command else run


def _introduced(answer: str, statement: str) -> set[str]:
    text = with_integers(plain_latex(answer))
    found = ["d"] if _DIFFERENTIAL.search(text) else []
    found += [name for match in _BOUND.finditer(text) for name in match.groups() if name]
    found += [
        name
        for match in _DESCRIBED.finditer(text.replace("\\text{", " ").replace("}", " "))
        for name in match.groups()
        if name
    ]
    reading = read_answer(answer)
    found += [part.label for part in (reading, *reading.parts)]
    if _INTEGRATION.search(statement):
        found += ["C", "c", "k", "K"]
    if reading.kind is Kind.RELATION and _COORDINATES.search(statement):
        found += ["x", "y", "z"]
    return {letter for name in found for letter in _letters_and_indices(name)}
