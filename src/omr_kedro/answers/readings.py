r"""Short answers taken apart: numbers and expressions, sets, tuples, intervals, equations, lists, matrices, words.

Nothing is computed here. What has no single meaning becomes a `VALUE` without a tree, or a `TEXT`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from omr_kedro.answers.expressions import parse_expression
from omr_kedro.answers.kinds import Kind, Reading
from omr_kedro.answers.latex import NEW_ROW, plain_latex
from omr_kedro.answers.lexer import PARSED_COMMANDS
from omr_kedro.answers.pieces import CLOSING, Piece, encloses, pieces_of, split
from omr_kedro.answers.trees import AMBIGUOUS, names_in, number, renamed
from omr_kedro.answers.words import NUMBER_WORDS, has_words, is_all_reals, phrase, split_unit, spoken, with_integers

MAX_CHARS = 2000
"""Longer texts are no short answers; they are read as words."""


_MAX_DEPTH = 40
_NUMBER_WITH_COMMAS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|-?\d{1,3}(?: \d{3})+(?:\.\d+)?")
_SEPARATORS = frozenset({",", ";", "and", "or"})
_RELATIONS = {"=": "=", "<": "<", ">": ">", "\\le": "<=", "\\ge": ">=", "\\in": "in", "\\ne": "!="}
_FLIPPED = {">": "<", ">=": "<="}
_LABEL = re.compile(
    r"""(?:\\?[a-zA-Z]+|[a-zA-Z])'*(?:\ *_\ *(?:\{[^{}]*\}|\w))?(?:\ *\([^()]*\))?   # x, \alpha, x_1, f(x)
        | \(\ *[a-zA-Z](?:_\{?\w+\}?)?(?:\ *,\ *[a-zA-Z](?:_\{?\w+\}?)?)+\ *\)        # (x, y)
        | \|?[A-Z]{1,4}\|? | \[[A-Z]{3,6}\] | \\angle\ [A-Z]{1,3}""",
    re.VERBOSE,
)
_LONGEST_CHOICE = len("option (a).")
_CHOICE = re.compile(r"(?:(?:option|choice|answer) )?\(?([a-e])\)?[.:)]?")
_MATRIX = re.compile(r"\\begin ?\{([pbBv]?matrix|array)\}(?:\{[^{}]*\})?(.*)\\end ?\{\1\}", re.DOTALL)
_FRENCH_INTERVAL = re.compile(r"([\]\[])([^\[\]]*)([\]\[])")
_TEXT_JOINER = re.compile(r"\\text\{\s*(and|or)\s*\}")
_NUMBER_SYSTEM = re.compile(r"\\mathbb\{[A-QS-Z]\}(?: ?[\^_] ?\{?(?:[+*]|\\[a-z]+ ?|>? ?\d)\}?)*")
_INTEGERS = "\\mathbb{Z}"
_PART = re.compile(r"(?:\A|[,;] ?(?:and )?| and )\(([a-h]|i{1,3}|iv|vi?)\)")
_PART_NAMES = (("a", "b", "c", "d", "e", "f", "g", "h"), ("i", "ii", "iii", "iv", "v", "vi"))
_CONGRUENCE = re.compile(
    r"(?:(?P<label>[^=\\]+?) ?\\equiv ?)?(?P<residue>-? ?\d+) ?\(?\\?(?:p|b)?mod ?\{?(?P<modulus>[1-9]\d*)\}?\)?"
)
_COMMAND = re.compile(r"\\([a-zA-Z]+|[{}])")
# What math-verify reads right beyond `parse_expression`. Others it passes over: to it, all limits of $a_n$ are equal.
_GRADED_COMMANDS = PARSED_COMMANDS | {
    "int", "iint", "sum", "prod", "cup", "cap", "setminus", "in", "le", "ge", "ne", "mathbb", "pm", "mp", "begin",
    "end", "max", "min", "gcd", "lcm", "{", "}", "mid", "overline",
}  # fmt: skip
_APPROXIMATELY = re.compile(r"\\approx|\\simeq")


@lru_cache(maxsize=4096)
def read_answer(text: str) -> Reading:
    """Take a short answer apart."""
    if len(text) > MAX_CHARS or max((piece.depth for piece in pieces_of(text)), default=0) > _MAX_DEPTH:
        return Reading(Kind.TEXT, spoken(text))
    plain = _TEXT_JOINER.sub(r" \1 ", plain_latex(text))
    return _read(with_integers(plain))


def _read(text: str) -> Reading:
    text = text.strip()
    fixed = _fixed(text)
    if fixed:
        return fixed
    congruence = _read_congruence(text)
    if congruence:
        return congruence
    parts = _read_parts(text)
    if parts:
        return parts
    pieces = pieces_of(text)
    for reader in (_read_interval, _read_several, _read_relation, _read_enclosed, _read_matrix, _read_union):
        reading = reader(text, pieces)
        if reading:
            return reading
    return _read_value(text)


def _fixed(text: str) -> Reading | None:
    """Phrases, numbers in words, letters of choices."""
    said = phrase(text)
    if said is not None:
        return Reading(Kind.TEXT, said) if said else Reading(Kind.SET, "\\emptyset")
    if _NUMBER_SYSTEM.fullmatch(text):
        return Reading(Kind.TEXT, text)
    if is_all_reals(text):
        return _read("(-\\infty ,\\infty )")
    word = spoken(text)
    if word in NUMBER_WORDS:
        return Reading(Kind.VALUE, str(NUMBER_WORDS[word]), tree=number(NUMBER_WORDS[word]))
    # A letter by itself may as well be a symbol, in which case counts.
    choice = _CHOICE.fullmatch(word) if len(word) <= _LONGEST_CHOICE else None
    if choice and choice[1] != text.lower():
        letter = choice[1].upper()
        return Reading(Kind.VALUE, letter, tree=parse_expression(letter))
    return None


def _read_parts(text: str) -> Reading | None:
    """`(a) 3, (b) 5`; names of parts without answers are none."""
    names = list(_PART.finditer(text))
    if len(names) < 2 or names[0].start() or not any(_are_first(names, known) for known in _PART_NAMES):
        return None
    ends = [*(name.start() for name in names[1:]), len(text)]
    answers = [text[name.end() : end].strip() for name, end in zip(names, ends, strict=True)]
    return Reading(Kind.PARTS, text, tuple(map(_read, answers))) if all(answers) else None


def _are_first(names: Sequence[re.Match[str]], known: Sequence[str]) -> bool:
    return [name[1] for name in names] == list(known[: len(names)])


def _read_several(text: str, pieces: Sequence[Piece]) -> Reading | None:
    if _NUMBER_WITH_COMMAS.fullmatch(text):
        plain = text.replace(",", "").replace(" ", "")
        return Reading(Kind.VALUE, text, tree=parse_expression(plain))
    if has_words(text.replace("and", "").replace("or", "")) and not _all_units(text, pieces):
        return None
    if any(piece in {"\\ldots", "\\forall", "\\exists"} for piece, _, _ in pieces) or "..." in text:
        # Nobody knows what the dots stand for.
        return Reading(Kind.TEXT, text)
    parts, signs = split(text, pieces, _SEPARATORS)
    parts = [part for part in parts if part.strip()]
    if not signs or len(parts) < 2:
        return _read_sign_pair(text)
    read = tuple(flatten(_with_one_letter(_with_labels([_read(part) for part in parts]))))
    one_of = set(signs) == {"or"} and {part.kind for part in read} <= {Kind.INTERVAL, Kind.UNION}
    return Reading(Kind.UNION if one_of else Kind.LIST, text, read)


def _all_units(text: str, pieces: Sequence[Piece]) -> bool:
    return not any(has_words(split_unit(part.strip())[0]) for part in split(text, pieces, _SEPARATORS)[0])


def _with_labels(parts: list[Reading]) -> list[Reading]:
    """`x = 1, 2` names both."""
    if parts[0].label and not any(part.label for part in parts[1:]):
        return [replace(part, label=parts[0].label) for part in parts]
    return parts


def _with_one_letter(parts: list[Reading]) -> list[Reading]:
    r"""`2n\pi, n \in \mathbb{Z}` as with any other letter: what stands for all integers says nothing by its name."""
    letters = [part.label for part in parts if part.text == _INTEGERS and len(part.label) == 1]
    for place, letter in enumerate(dict.fromkeys(letters)):
        parts = [_bound(part, letter, f"#{place}") for part in parts]
    return parts


def _bound(part: Reading, letter: str, name: str) -> Reading:
    """The part with another name for a letter; its text tells it from one in which the letter is no integer."""
    if part.text == _INTEGERS:
        return replace(part, label=name) if part.label == letter else part
    if part.tree is not None and letter in names_in(part.tree):
        return replace(part, text=f"{part.text} for {letter}", tree=renamed(part.tree, letter, name))
    return replace(part, parts=tuple(_bound(inner, letter, name) for inner in part.parts))


def flatten(parts: Sequence[Reading]) -> Iterator[Reading]:
    r"""Parts of parts that are lists themselves: `1, \pm 2`."""
    for part in parts:
        if part.kind is Kind.LIST:
            yield from part.parts
        else:
            yield part


def _read_sign_pair(text: str) -> Reading | None:
    if text.count("\\pm") + text.count("\\mp") == 0 or "=" in text:
        return None
    if text.count("\\pm") != 1:
        return Reading(Kind.VALUE, text)
    plus = text.replace("\\pm", "+").replace("\\mp", "-")
    minus = text.replace("\\pm", "-").replace("\\mp", "+")
    return Reading(Kind.LIST, text, (_read(plus), _read(minus)))


def _read_relation(text: str, pieces: Sequence[Piece]) -> Reading | None:
    sides, signs = split(text, pieces, frozenset(_RELATIONS))
    if not signs:
        return None
    signs = [_RELATIONS[sign] for sign in signs]
    sides = [side.strip() for side in sides]
    if has_words(sides[0]):
        return None
    if set(signs) <= {"=", "in"}:
        return _read_equation(text, sides, signs)
    return _read_inequality(text, sides, signs)


def _read_equation(text: str, sides: list[str], signs: list[str]) -> Reading:
    if _LABEL.fullmatch(sides[0]):
        value = _read(sides[-1])
        if signs[-1] == "in" and value.kind in {Kind.VALUE, Kind.TUPLE} and value.marks != "()":
            return Reading(Kind.VALUE, text)
        return _labelled(value, _compact(sides[0]))
    if "in" in signs or len(sides) != 2:
        return Reading(Kind.VALUE, text)
    return Reading(Kind.RELATION, text, (_read(sides[0]), _read(sides[1])), marks="=")


def _labelled(value: Reading, label: str) -> Reading:
    names = label.strip("()").split(",")
    if value.kind is Kind.TUPLE and label.startswith("(") and len(names) == len(value.parts):
        parts = [replace(part, label=name) for part, name in zip(value.parts, names, strict=True)]
        return replace(value, parts=tuple(parts))
    if value.kind is Kind.LIST:
        return replace(value, parts=tuple(_labelled(part, label) for part in value.parts))
    return replace(value, label=value.label or label)


def _read_inequality(text: str, sides: list[str], signs: list[str]) -> Reading:
    if any(sign in {"=", "in", "!="} for sign in signs):
        marks = signs[0] if len(signs) == 1 else ""
        return (
            Reading(Kind.RELATION, text, tuple(map(_read, sides)), marks=marks) if marks else Reading(Kind.VALUE, text)
        )
    if all(sign in _FLIPPED for sign in signs):
        sides, signs = sides[::-1], [_FLIPPED[sign] for sign in reversed(signs)]
    if any(sign in _FLIPPED for sign in signs):
        return Reading(Kind.VALUE, text)
    parts = [_read(side) for side in sides]
    names = [place for place, part in enumerate(parts) if part.tree is not None and part.tree.op == "symbol"]
    closed = {"<": "()", "<=": "[]"}
    if len(parts) == 3 and names == [1]:
        marks = closed[signs[0]][0] + closed[signs[1]][1]
        return Reading(Kind.INTERVAL, text, (parts[0], parts[2]), label=parts[1].text, marks=marks)
    if len(parts) == 2 and len(names) == 1:
        below = names == [0]
        ends = (_read("-\\infty"), parts[1]) if below else (parts[0], _read("\\infty"))
        marks = "(" + closed[signs[0]][1] if below else closed[signs[0]][0] + ")"
        return Reading(Kind.INTERVAL, text, ends, label=parts[names[0]].text, marks=marks)
    if len(parts) == 2:
        return Reading(Kind.RELATION, text, tuple(parts), marks=signs[0])
    return Reading(Kind.VALUE, text)


def _read_interval(text: str, pieces: Sequence[Piece]) -> Reading | None:
    """`[a, b)` and, as the French write it, `]a, b]`."""
    found = _FRENCH_INTERVAL.fullmatch(text)
    if found and (found[1], found[3]) != ("[", "]"):
        opening, closing = ("(" if found[1] == "]" else "["), (")" if found[3] == "[" else "]")
        ends = split(found[2], pieces_of(found[2]), frozenset(",;"))[0]
        if len(ends) == 2:
            return Reading(Kind.INTERVAL, text, tuple(map(_read, ends)), marks=opening + closing)
    if not text or text[0] not in "([" or text[-1] not in ")]" or not encloses(pieces):
        return None
    inside = text[1:-1]
    parts = split(inside, pieces_of(inside), frozenset(",;"))[0]
    marks = text[0] + text[-1]
    if len(parts) != 2 or (marks == "()" and "\\infty" not in inside):
        return None
    return Reading(Kind.INTERVAL, text, tuple(map(_read, parts)), marks=marks)


def _read_enclosed(text: str, pieces: Sequence[Piece]) -> Reading | None:
    if not pieces or CLOSING.get(pieces[0][0]) != pieces[-1][0] or not encloses(pieces):
        return None
    opening, closing = pieces[0][0], pieces[-1][0]
    inside = text[len(opening) : -len(closing)]
    inner = pieces_of(inside)
    parts, signs = split(inside, inner, frozenset(",;"))
    if opening == "\\{":
        if any(piece in {":", "|", "\\mid"} for piece, depth, _ in inner if depth == 0):
            return Reading(Kind.VALUE, text)
        return Reading(Kind.SET, text, tuple(flatten([_read(part) for part in parts])))
    if opening == "{":
        return _read(inside)
    if not signs:
        return None
    return Reading(Kind.TUPLE, text, tuple(map(_read, parts)), marks="()" if opening == "(" else opening)


def _read_matrix(text: str, pieces: Sequence[Piece]) -> Reading | None:
    del pieces
    found = _MATRIX.fullmatch(text)
    if not found or found[1] == "vmatrix":
        return None
    rows = [row for row in found[2].split(NEW_ROW) if row.strip()]
    read = [Reading(Kind.TUPLE, row, tuple(_read(cell) for cell in row.split("&"))) for row in rows]
    return Reading(Kind.MATRIX, text, tuple(read))


def _read_union(text: str, pieces: Sequence[Piece]) -> Reading | None:
    parts, signs = split(text, pieces, frozenset({"\\cup"}))
    if not signs:
        return None
    read = tuple(map(_read, parts))
    if all(part.kind is Kind.SET for part in read):
        return Reading(Kind.SET, text, tuple(element for part in read for element in part.parts))
    return Reading(Kind.UNION, text, read)


def _read_value(text: str) -> Reading:
    exact = _APPROXIMATELY.split(text)
    text = next((part.strip() for part in exact if part.strip()), text)
    value, unit = split_unit(text)
    if has_words(value):
        return Reading(Kind.TEXT, spoken(text))
    tree = parse_expression(value)
    if tree is AMBIGUOUS or (tree is None and set(_COMMAND.findall(value)) - _GRADED_COMMANDS):
        return Reading(Kind.TEXT, text)
    return Reading(Kind.VALUE, text, tree=tree, unit=unit)


def _read_congruence(text: str) -> Reading | None:
    r"""`x \equiv 7 \pmod 5`, with the least residue."""
    found = _CONGRUENCE.fullmatch(text)
    if not found:
        return Reading(Kind.TEXT, text) if "\\equiv" in text or "mod" in text else None
    residue, modulus = int(found["residue"].replace(" ", "")), int(found["modulus"])
    return Reading(Kind.TEXT, f"{residue % modulus} mod {modulus}", label=_compact(found["label"] or ""))


def _compact(text: str) -> str:
    return text.replace(" ", "").replace("{", "").replace("}", "")
