"""The form of an answer, the form that a statement asks for, and which of these cannot go together."""

from __future__ import annotations

import re
from enum import StrEnum

from omr_kedro.answers.kinds import Kind, Reading
from omr_kedro.answers.latex import plain_latex
from omr_kedro.answers.readings import read_answer
from omr_kedro.answers.trees import symbols
from omr_kedro.answers.words import phrase, spoken


class Form(StrEnum):
    """Of an answer, of a question, or of both."""

    NUMBER = "number"
    COUNT = "count"
    """Only asked: a number for certain, as for `how many`; `the value` may be anything."""
    EXPRESSION = "expression"
    EQUATION = "equation"
    FUNCTION = "function"
    SET = "set"
    INTERVAL = "interval"
    TUPLE = "tuple"
    MATRIX = "matrix"
    CHOICE = "choice"
    YES_NO = "yes_no"
    PROOF = "proof"
    REFERENCE = "reference"
    """Points elsewhere (`see post 3`), or says that it was shown."""
    PARTS = "parts"
    """Several answers, `(a) … (b) …`."""
    TEXT = "text"
    UNKNOWN = "unknown"


_NO_VALUE = frozenset({Form.PROOF, Form.REFERENCE})
_NOT_ASKED = _NO_VALUE | {Form.CHOICE, Form.YES_NO}
_CLASHES: dict[Form, frozenset[Form]] = {
    Form.COUNT: _NOT_ASKED | {Form.MATRIX, Form.INTERVAL},
    Form.NUMBER: _NOT_ASKED,
    Form.EXPRESSION: _NOT_ASKED,
    Form.EQUATION: _NOT_ASKED,
    Form.FUNCTION: _NOT_ASKED,
    Form.SET: _NOT_ASKED,
    Form.TUPLE: _NOT_ASKED,
    Form.YES_NO: _NO_VALUE | {Form.CHOICE},
    Form.PROOF: frozenset(Form),
}
"""Forms that no reader would take for an answer, by what was asked; all else goes together, or nobody can tell."""

_PROOF = re.compile(
    r"(?:the |this |a |by )?(?:proof|proved|proven|q\.?e\.?d\b|proves?)(?!\w)"
    r"|it (?:is|was|has been) (?:shown|proved|proven)"
    r"|(?:shown|hence proved|as required|as desired)$"
    r"|\\(?:blacksquare|square|qed)\b"
    r"|the (?:statement|claim|inequality|identity|result)s? (?:holds?|(?:is|are|has been) (?:true|shown|prove[dn]))\b"
)
_IN_POST = r"(?:in|at|from) (?:the |this |that )?(?:posts?|attachment|link|image|picture|file|thread)\b"
_ELSEWHERE = rf"(?:(?:above|below)\W*$|{_IN_POST})"
_REFERENCE = re.compile(
    rf"(?:please )?(?:see|refer to|look at|check) (?:{_ELSEWHERE}|posts?\b|the\b|this\b|that\b|here\b|https?:|\[)"
    r"|(?:the |as |my )?(?:solution|answer|shown|given|stated|proved|explained|same)? ?(?:is |as |was )?"
    rf"{_ELSEWHERE}"
    r"|posts? \d+$|(?:it is |this is )?(?:trivial|obvious|done|unknown|n/?a)$|left (?:as|to) (?:an|the)\b|https?:|\[img"
)
_OPTIONS = re.compile(r"\(\s*A\s*\).{1,300}?\(\s*B\s*\)|\bA[.)]\s.{1,300}?\bB[.)]\s", re.DOTALL)
_PARTS = re.compile(r"\W*(?:\(?a\)|\(?i\)|\(1\)).{1,500}?(?:\bb\)|\bii\)|\(2\))", re.DOTALL)
_NO_WORD = r"(?:[^\w\\]|\\(?![a-zA-Z]))*+"
_LETTER = re.compile(rf"{_NO_WORD}(?:\\text\w*+\s*+\{{)?{_NO_WORD}([A-E])\W*+")

_ASK = (
    r"(?:find|determine|compute|calculate|evaluate|give|state|obtain"
    r"|what(?:'s| is| are| was| will be| would be| must be)?)\b"
)
_MANY = r"(?:all|every|the (?:set|values?|possible values?|solutions?|roots?|zeros?) (?:of|for|in|to|such)|each)\b"
_NOUN = (
    r"(?:number|value|sum|product|area|volume|length|perimeter|probability|remainder|digit|degree|ratio|distance|radius"
    r"|measure|minimum|maximum|least|greatest|smallest|largest|minimal|maximal|limit|determinant|average|mean|median"
    r"|angle|side|height|cost|price|time|speed|age|percentage|percent|expected|coefficient|exponent|integer)\b"
)
_GAP = r"[^.?!\n]{0,60}?"
_QUESTIONS: tuple[tuple[Form, re.Pattern[str]], ...] = tuple(
    (form, re.compile(pattern, re.IGNORECASE))
    for form, pattern in (
        (Form.COUNT, r"\bhow (?:many|much|long|old|far|tall|large|fast)\b"),
        (
            Form.COUNT,
            rf"\b{_ASK} (?:the )?(?:total |exact )?(?:number of|probability|remainder|last digit|units? digit)\b",
        ),
        (Form.NUMBER, rf"\b{_ASK} (?:the )?(?:exact |total |last |units? |sum |common )*{_NOUN}"),
        (Form.FUNCTION, rf"\b{_ASK} {_GAP}\b(?:functions?|polynomials?|sequences?)\b"),
        (Form.SET, rf"\b{_ASK} {_GAP}\b{_MANY}"),
        (Form.SET, r"\b(?:for (?:which|what)|which (?:values|numbers|integers|primes))\b|\bsolve\b"),
        (Form.SET, rf"\b{_ASK} (?:the )?(?:range|domain)\b"),
        (Form.TUPLE, rf"\b{_ASK} (?:the )?(?:coordinates|ordered (?:pair|triple)|point)\b"),
        (Form.EQUATION, rf"\b{_ASK} (?:the |an )?(?:equation|locus)\b"),
        (Form.EXPRESSION, r"\bin terms of\b|\bexpress\b|\bsimplify\b|\bfactor(?:ise|ize)?\b|\bas a function of\b"),
        (Form.EXPRESSION, rf"\b{_ASK} (?:the )?(?:integral|derivative|antiderivative|general|formula|closed form)\b"),
        (
            Form.YES_NO,
            r"(?:^|[.,?!:;]\s+|\n)(?:then )?(?:is|are|does|do|can|could|will|must|has|have)\b[^.?!\n]{1,300}\?",
        ),
    )
)
_PROOF_ASKED = re.compile(r"\b(?:prove|show|demonstrate|verify)\b", re.IGNORECASE)
_ANY_QUESTION = re.compile(
    r"\?|\b(?:find|determine|comput|calculat|evaluat|what|which|how|solve|give|state|deduce|obtain|when|where)",
    re.IGNORECASE,
)


def answer_form(text: str) -> Form:
    """The form of a short answer."""
    words = spoken(text.replace("$", " "))
    if _PROOF.match(words) and phrase(text) is None:
        return Form.PROOF
    if _REFERENCE.match(words):
        return Form.REFERENCE
    if phrase(text) in {"yes", "no", "true", "false"}:
        return Form.YES_NO
    if _PARTS.match(text):
        return Form.PARTS
    reading = read_answer(text)
    return Form.TEXT if reading.kind is Kind.TEXT else _FORM_OF.get(reading.kind) or _form_of_value(reading)


_FORM_OF = {
    Kind.TUPLE: Form.TUPLE,
    Kind.INTERVAL: Form.INTERVAL,
    Kind.UNION: Form.INTERVAL,
    Kind.SET: Form.SET,
    Kind.LIST: Form.SET,
    Kind.PARTS: Form.PARTS,
    Kind.MATRIX: Form.MATRIX,
    Kind.RELATION: Form.EQUATION,
}


def _form_of_value(reading: Reading) -> Form:
    if reading.tree is None:
        return Form.EXPRESSION
    if not symbols(reading.tree):
        return Form.NUMBER
    if "(" in reading.label:
        return Form.FUNCTION
    return Form.EQUATION if reading.label else Form.EXPRESSION


def asked_forms(statement: str) -> list[Form]:
    """The forms that the questions of a statement ask for, in their order; a proof only where nothing else is asked.

    Empty when it is not plain what is asked.
    """
    if _OPTIONS.search(statement):
        return [Form.CHOICE]
    text = statement.replace("$", " ")
    # Of two rules that fit at one place the earlier in the list is the closer one, and comes last here.
    found = sorted(
        (match.start(), -rank) for rank, (_, pattern) in enumerate(_QUESTIONS) for match in pattern.finditer(text)
    )
    if found:
        return [_QUESTIONS[-rank][0] for _, rank in found]
    return [Form.PROOF] if _PROOF_ASKED.search(text) and not _ANY_QUESTION.search(text) else []


def asked_form(statement: str) -> Form:
    """The form that the last question of a statement asks for, as far as it tells."""
    return next(reversed(asked_forms(statement)), Form.UNKNOWN)


def clash(statement: str, given: Form) -> bool:
    """Whether an answer of this form answers none of the questions that the statement asks."""
    asked = asked_forms(statement)
    return given in _NO_VALUE or (bool(asked) and all(given in _CLASHES.get(form, frozenset()) for form in asked))


def dangling_choice(answer: str, statement: str) -> bool:
    """Whether the answer is the letter of an option that the statement doesn't list, nor anything else by that name."""
    letter = _LETTER.fullmatch(answer)
    if not letter or _OPTIONS.search(statement):
        return False
    return not re.search(
        rf"(?<![a-zA-Z]){letter[1]}(?![a-z])|[A-Z]{letter[1]}|{letter[1]}[A-Z]", plain_latex(statement)
    )
