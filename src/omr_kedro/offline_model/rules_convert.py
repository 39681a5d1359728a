"""Proofs rewritten as questions with an answer that can be checked.

A question is made only where it is well defined whatever the rule knows: the best constant of an inequality exists
even where the bound to be proved is not the best one. What fits no rule is not convertible.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from omr_kedro.offline_model.signs import FORMULA, pieces

DECLINED = "Not convertible."
_LONGEST = 4000

_ORDER = re.compile(
    r"(?:^|(?<=[\s(,]))(?:please )?(?:prove|show|demonstrate|verify|establish)\b,?(?: that\b)?[,:]?\s*", re.IGNORECASE
)
_QUANTIFIER = r"for (?:all|every|each|any)\b"
_LEAD = re.compile(
    rf"(?:(?P<lead>(?:for|if|when|whenever|given|in)\b(?:{FORMULA}|[^,\n$]){{1,300}}?)"
    r"(?:,\s*(?:then\s+)?|\s+then\s+|\s(?=we have)))?"
    r"(?:we have(?: that)?:?\s+|the (?:following )?(?:inequality|identity|equality)\s+)?(?P<core>.+)",
    re.DOTALL | re.IGNORECASE,
)
_TAIL = re.compile(
    rf"(?P<core>.+?)(?:\s{{1,8}}holds)?,?(?P<tail>\s{{1,8}}(?:{_QUANTIFIER}|where\b|whenever\b)[^\n]+)?",
    re.DOTALL | re.IGNORECASE,
)
_DIVISIBLE = re.compile(
    r"(?P<what>[^\n]{1,300}?) (?:is|are) (?:always )?(?:divisible by|a multiple of) "
    rf"(?P<by>\$[^$\n]{{1,30}}\$|[0-9^]{{1,12}})(?P<tail>,? {_QUANTIFIER}[^\n]+)?",
    re.IGNORECASE,
)
_DIVIDES = re.compile(
    rf"(?P<by>\$?[0-9^]{{1,12}}\$?) (?:always )?divides (?P<what>[^\n]{{1,300}}?)(?P<tail>,? {_QUANTIFIER}[^\n]+)?",
    re.IGNORECASE,
)
_ONLY_SOLUTIONS = re.compile(
    r"(?:that )?the only (?P<kind>[^\n]{0,60}?)solutions? (?P<of>(?:of|to|in)\b[^\n]{1,300}?) (?:is|are) [^\n]+",
    re.IGNORECASE,
)
_EXACTLY = re.compile(
    r"(?P<what>[^\n]{1,300}?) has exactly (?:one|two|three|four|five|six|\$?[0-9]{1,4}\$?) (?P<things>[^\n]{1,200})",
    re.IGNORECASE,
)
_QUANTITY = re.compile(
    r"(?P<what>(?:the )?(?:sum|product|area|value|ratio|volume|perimeter|length|number)\b"
    r"[^\n]{1,300}?) (?:is(?: always)?(?: equal to)?|equals) "
    r"(?P<value>zero|one|two|three|-?[0-9][0-9./°]{0,12}|\$[^$\n]{1,40}\$)",
    re.IGNORECASE,
)
_RELATION = re.compile(r"\\(?:leqslant|geqslant|leq|geq|le|ge|lt|gt|equiv|neq?)(?![a-zA-Z])|<=|>=|[=<>≤≥]")
_AT_MOST = frozenset({"\\le", "\\leq", "\\leqslant", "\\lt", "<", "<=", "≤"})
_AT_LEAST = frozenset({"\\ge", "\\geq", "\\geqslant", "\\gt", ">", ">=", "≥"})
_COMMANDS_OF_NUMBERS = re.compile(r"\\(?:[dt]?frac|sqrt|pi|cdot|circ|left|right)(?![a-zA-Z])|\bsqrt\b|\bpi\b|π")
_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{4,}")
_SUBSCRIPT = re.compile(r"_\{[^{}]*\}")
_SUMMED = re.compile(r"\\(?:sum|prod|int|cdots|ldots|dots)(?![a-zA-Z])|\.\.\.|…")
_DELIMITERS = (("$$", "$$"), ("$", "$"), ("\\[", "\\]"), ("\\(", "\\)"))


class Claim(NamedTuple):
    """A statement taken apart: what is given, the claim, and remarks after it."""

    given: str
    claim: str
    remarks: str


class Relation(NamedTuple):
    """The single comparison that a claim consists of."""

    left: str
    sign: str
    right: str


def convert(problem: str) -> str:
    """The reply of the stage: a question that can be checked, or that none can be made."""
    claim = _read(problem) if len(problem) <= _LONGEST else None
    question = _question(claim.claim) if claim else None
    if claim is None or question is None:
        return DECLINED
    return "Problem: " + " ".join(part for part in (claim.given, question, claim.remarks) if part)


def _read(problem: str) -> Claim | None:
    """The claim after the only order to prove; several orders are several claims."""
    orders = list(_ORDER.finditer(problem))
    if len(orders) != 1:
        return None
    given, condition = _split_condition(problem[: orders[0].start()])
    claim, *remarks = list(pieces(problem[orders[0].end() :].replace("\n", " "))) or [""]
    return Claim(given, condition + claim.strip().rstrip(".").strip(), "".join(remarks).strip())


def _split_condition(given: str) -> tuple[str, str]:
    """The text before the order, without and with the condition of `For every n, prove that`."""
    if not given.rstrip().endswith(","):
        return given.strip(), ""
    *sentences, condition = pieces(given.replace("\n", " "))
    return "".join(sentences).strip(), condition.strip() + " "


def _question(claim: str) -> str | None:
    for rule in _RULES:
        if question := rule(claim):
            return question
    return None


def _about_solutions(claim: str) -> str | None:
    found = _ONLY_SOLUTIONS.fullmatch(claim)
    return f"Find all {found['kind']}solutions {found['of']}." if found else None


def _about_a_count(claim: str) -> str | None:
    found = _EXACTLY.fullmatch(claim)
    return f"How many {found['things'].rstrip('.')} does {_lower(found['what'])} have?" if found else None


def _about_divisibility(claim: str) -> str | None:
    lead, core = _split_lead(claim)
    found = _DIVISIBLE.fullmatch(core) or _DIVIDES.fullmatch(core)
    if not found:
        return None
    tail = _quantified(lead, found["tail"])
    if tail:
        return f"Find the greatest positive integer that divides {found['what']} {tail}."
    return f"Find the remainder when {found['what']} is divided by {found['by']}."


def _about_a_quantity(claim: str) -> str | None:
    lead, core = _split_lead(claim)
    found = _QUANTITY.fullmatch(core)
    if not found:
        return None
    value = found["value"].strip("$")
    return _capital(f"{lead}find {_lower(found['what'])}.") if value.isalpha() or _is_number(value) else None


def _about_a_relation(claim: str) -> str | None:
    lead, core = _split_lead(claim)
    split = _TAIL.fullmatch(core)
    relation = _relation(split["core"]) if split else None
    if not split or not relation:
        return None
    question = _of_equality(relation) if relation.sign == "=" else _of_bound(relation)
    return _capital(f"{lead}{question}{split['tail'] or ''}.") if question else None


_RULES: tuple[Callable[[str], str | None], ...] = (
    _about_solutions,
    _about_divisibility,
    _about_a_count,
    _about_a_relation,
    _about_a_quantity,
)


def _of_equality(relation: Relation) -> str | None:
    if _is_number(relation.right):
        return f"find the value of ${relation.left}$"
    closed = _SUMMED.search(relation.left) and not _SUMMED.search(relation.right)
    return f"find a closed form of ${relation.left}$" if closed else None


def _of_bound(relation: Relation) -> str | None:
    if not _is_number(relation.right):
        return None
    if relation.sign in _AT_MOST:
        return f"find the smallest real constant $C$ such that ${relation.left} \\le C$ always holds"
    if relation.sign in _AT_LEAST:
        return f"find the largest real constant $C$ such that ${relation.left} \\ge C$ always holds"
    return None


def _relation(core: str) -> Relation | None:
    """The comparison, when the text is one formula or plain-text mathematics with one comparison sign."""
    formula = _undelimited(core.strip())
    signs = list(_RELATION.finditer(_SUBSCRIPT.sub(lambda found: " " * len(found[0]), formula)))
    if len(signs) != 1 or _WORD.search(formula) or "$" in formula:
        return None
    left, right = formula[: signs[0].start()].strip(), formula[signs[0].end() :].strip(" .,")
    return Relation(left, signs[0][0], right) if left and right else None


def _undelimited(text: str) -> str:
    if re.fullmatch(FORMULA, text):
        for opener, closer in _DELIMITERS:
            if text.startswith(opener):
                return text.removeprefix(opener).removesuffix(closer).strip()
    return text


def _is_number(text: str) -> bool:
    rest = _COMMANDS_OF_NUMBERS.sub("0", text)
    return re.search(r"[0-9]", rest) is not None and re.search(r"[^0-9\s{}()+\-*/^.°]", rest) is None


def _split_lead(claim: str) -> tuple[str, str]:
    found = _LEAD.fullmatch(claim)
    if not found:
        return "", claim
    return f"{found['lead'].strip()}, " if found["lead"] else "", found["core"].strip()


def _quantified(lead: str, tail: str | None) -> str:
    """For which values a claim holds, from before or behind it; empty where it is about one thing."""
    if tail:
        return tail.lstrip(" ,").rstrip(".")
    return _lower(lead.strip().rstrip(",")) if re.match(_QUANTIFIER, lead, re.IGNORECASE) else ""


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[:2].isalpha() else text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
