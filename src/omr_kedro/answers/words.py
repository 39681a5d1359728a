"""The words in short answers: units, numbers written out, and phrases such as `no solution`."""

from __future__ import annotations

import re

from omr_kedro.answers.lexer import FUNCTIONS

_PHRASES = {
    "": (
        "no solution", "no solutions", "none", "there are none", "there are no solutions", "there is no solution",
        "no such numbers exist", "no such number exists", "\\emptyset", "\\{\\}", "empty set", "the empty set",
        "has no solution", "has no solutions", "there is none",
    ),
    "infinitely many": (
        "infinitely many", "infinite", "infinitely many solutions", "infinite solutions", "an infinite number",
        "there are infinitely many", "infinitely many values",
    ),
    "does not exist": ("does not exist", "dne", "doesn't exist", "undefined", "not defined"),
    "yes": ("yes",),
    "no": ("no",),
    "true": ("true",),
    "false": ("false",),
}  # fmt: skip
_CANONICAL = {phrase: canonical for canonical, phrases in _PHRASES.items() for phrase in phrases}
_ALL_REALS = frozenset(
    {"all real numbers", "all reals", "\\mathbb{R}", "all real", "any real number", "all real values"}
)
NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        (
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
            "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
        )
    )
}  # fmt: skip
_LENGTHS = {
    "mm": ("mm", "millimeter", "millimetre"),
    "cm": ("cm", "centimeter", "centimetre"),
    "m": ("m", "meter", "metre"),
    "km": ("km", "kilometer", "kilometre"),
    "in": ("in", "inch", "inche"),
    "ft": ("ft", "foot", "feet"),
    "yd": ("yd", "yard"),
    "mi": ("mi", "mile"),
    "unit": ("unit",),
}
_OTHERS = {
    "s": ("s", "sec", "second"), "min": ("min", "minute"), "h": ("h", "hr", "hour"), "day": ("day",),
    "week": ("week",), "month": ("month",), "year": ("year", "yr"),
    "g": ("g", "gram"), "kg": ("kg", "kilogram"), "mg": ("mg",), "lb": ("lb", "pound"),
    "l": ("l", "liter", "litre"), "ml": ("ml",), "gal": ("gallon", "gal"),
    "km/h": ("km/h", "kmh", "kmph", "km/hr", "kilometers per hour"), "mph": ("mph", "mile per hour", "miles per hour"),
    "m/s": ("m/s", "meters per second"), "dollar": ("dollar", "usd"), "cent": ("cent",), "degree": ("degree", "deg"),
    "radian": ("radian", "rad"), "percent": ("percent", "%", "\\%", "per cent"),
}  # fmt: skip
_COUNTED = (
    "way", "solution", "value", "people", "student", "point", "triangle", "integer", "number", "pair", "subset",
    "function", "digit", "line", "square", "coin", "ball", "apple", "side", "edge", "zero", "divisor", "time",
    "element", "arrangement", "possibilities", "prime", "term", "root", "book", "card", "game", "player", "person",
    "child", "children", "men", "women", "boy", "girl", "step", "move", "piece", "permutation", "path", "sequence",
    "tile", "set", "triple", "triples", "ordered pair", "ordered pairs", "different way", "different ways",
)  # fmt: skip


def _units() -> dict[str, str]:
    singular = {name: unit for table in (_LENGTHS, _OTHERS) for unit, names in table.items() for name in names}
    known = dict(singular)
    for name, unit in _LENGTHS.items():
        for word in unit:
            for prefix, power in (("square ", "^2"), ("sq ", "^2"), ("sq. ", "^2"), ("cubic ", "^3"), ("cu ", "^3")):
                known[prefix + word] = name + power
            known[word + "^2"], known[word + "^3"] = name + "^2", name + "^3"
            known[word + " squared"], known[word + " cubed"] = name + "^2", name + "^3"
    known |= {word: word for word in _COUNTED}
    return {**{word + "s": unit for word, unit in known.items()}, **known}


_UNITS = _units()
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
# `plain_latex` leaves one blank, and a command that was taken out another. More are no way to write an answer, and runs
# of any length beside each other are what makes a pattern slow.
_GAP = " {0,2}"
_POWER = rf"\^{_GAP}\{{?{_GAP}[23]{_GAP}\}}?"
_DEGREES = re.compile(rf"{_GAP}\^{_GAP}(?:\{{{_GAP}\\circ{_GAP}\}}|\\circ){_GAP}\Z")
_PERCENT = re.compile(rf"{_GAP}\\?%{_GAP}\Z")
_CURRENCY = re.compile(r"\A(-?)\s*+(?:\\\$|£|€|USD)\s*+(?=[\d.])")
# A unit in letters of its own follows a number, a closing bracket, or \pi; single letters might be symbols.
_BARE_UNIT = re.compile(
    rf"(?<=[\d)}}\s]){_GAP}(?<![a-zA-Z\\])"
    r"((?:sq\.? |square |cubic |cu )?[a-zA-Z]{2,20}(?:[ /][a-zA-Z]{1,20}){0,4}"
    rf"(?:{_GAP}{_POWER})?){_GAP}\Z"
)
_TEXT_UNIT = re.compile(rf"{_GAP}\\text\{{{_GAP}([^{{}}]{{0,40}}?){_GAP}\}}{_GAP}({_POWER})?{_GAP}\Z")
_LONGEST_UNIT = 80
"""Characters at the end of an answer in which its unit stands; the longest name that is known has 19."""
_OPEN_TEXT = rf",?{_GAP}(?:\\text\{{)?{_GAP}"
_ANY_INTEGER = (
    re.compile(
        rf"{_OPEN_TEXT}(?:where|with|for)?{_GAP}\}}?{_GAP}\b([a-z])\b{_GAP}(?:\\text\{{)?{_GAP}"
        rf"is an(?:y| arbitrary)? integer{_GAP}\}}?"
    ),
    re.compile(rf"{_OPEN_TEXT}for (?:any|all|every|some|each)? ?integers?{_GAP}\}}?{_GAP}([a-z])\b"),
    re.compile(rf"{_OPEN_TEXT}(?:where|with|for|\(|\b){_GAP}\}}?{_GAP}([a-z]){_GAP}\\in \\mathbb\{{Z\}}\)?"),
)
_UNIT_POWER = re.compile(rf"{_GAP}{_POWER.replace('[23]', '([23])')}")
_SETTLED = re.compile(r"\d+ mod \d+|\\mathbb\{[A-Z]\}\S{0,8}")
_COMMAND_OR_WORD = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]{3,}")
_FUNCTION_WORD = re.compile(rf"(?:{'|'.join([*FUNCTIONS, 'sqrt', 'pi'])})[a-z]?|theta|pi")


def with_integers(text: str) -> str:
    r"""The text with `where k is an integer` and the like as `, k \in \mathbb{Z}`."""
    for pattern in _ANY_INTEGER:
        text = pattern.sub(r", \1 \\in \\mathbb{Z}", text)
    return text


def phrase(text: str) -> str | None:
    """The canonical form of a phrase that stands for a whole answer (`""` for the empty set), or None."""
    return _CANONICAL.get(spoken(text))


def is_settled_text(text: str) -> bool:
    """Whether a text in one spelling is a phrase, a residue class or a set of numbers, which have one form each."""
    return text in _PHRASES or _SETTLED.fullmatch(text) is not None


def is_all_reals(text: str) -> bool:
    """Whether the answer is the whole real line in words or as a letter."""
    return text in _ALL_REALS or spoken(text) in _ALL_REALS


def spoken(text: str) -> str:
    """Words in lower case, without text commands."""
    return " ".join(_TEXT.sub(r" \1 ", text).lower().replace("\\ ", " ").split()).strip(" .!;,")


def has_words(text: str) -> bool:
    """Whether there are words that are not names of functions: such a text is compared as it stands."""
    if "\\text{" in text:
        return True
    found = (word[0] for word in _COMMAND_OR_WORD.finditer(text))
    return any(word[0] != "\\" and not _FUNCTION_WORD.fullmatch(word) for word in found)


def split_unit(text: str) -> tuple[str, str]:
    """A value and its unit in one spelling; the unit is empty where there is none, or none that is known."""
    currency = _CURRENCY.match(text)
    if currency:
        return currency[1] + text[currency.end() :], "dollar"
    near_end = max(0, len(text) - _LONGEST_UNIT)
    if "%" in text and (percent := _PERCENT.search(text, near_end)):
        return text[: percent.start()], "percent"
    if "\\circ" in text and "\\sin" not in text and "\\cos" not in text and "\\tan" not in text:
        degrees = _DEGREES.search(text, near_end)
        if degrees:
            return text[: degrees.start()], "degree"
    for pattern in (_TEXT_UNIT, _BARE_UNIT):
        found = pattern.search(text, near_end)
        if found:
            power = found[2] if pattern is _TEXT_UNIT and found[2] else ""
            unit = _UNITS.get(_unit_key(found[1] + power))
            value = text[: found.start()].rstrip()
            if unit and value:
                return value.rstrip("\\"), unit
    return text, ""


def _unit_key(text: str) -> str:
    return _UNIT_POWER.sub(r"^\1", text.lower()).strip(" .")
