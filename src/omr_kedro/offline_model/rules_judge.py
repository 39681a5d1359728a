"""Whether two statements are one problem: nearly the same words, and the same numbers and signs. And two answers."""

from __future__ import annotations

import re
from collections import Counter

from omr_kedro.answers import Verdict, grade_cheaply
from omr_kedro.text.unicode import normalized

_LEAST_LIKENESS = 0.8

_TOKEN = re.compile(r"\\[a-z]+|[0-9]+(?:\.[0-9]+)?|[^\W\d_]+|[+*/=<>^≤≥!|]|(?<![a-z])-|-(?![a-z])")
_DRESS = re.compile(r"\\(?:left|right|displaystyle|quad|qquad|text|mathrm|mathbf|big+)\b|\\[,;:! ()\[\]]|[$~]")
_NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SPELLINGS = {
    **{word: str(number) for number, word in enumerate(_NUMBER_WORDS, start=1)},
    **dict.fromkeys(["greatest", "largest", "maximal", "biggest"], "maximum"),
    **dict.fromkeys(["least", "smallest", "minimal", "lowest"], "minimum"),
    **dict.fromkeys(["\\leq", "\\le", "\\leqslant"], "≤"),
    **dict.fromkeys(["\\geq", "\\ge", "\\geqslant"], "≥"),
    **dict.fromkeys(["\\dfrac", "\\tfrac", "\\frac"], "/"),
    **dict.fromkeys(["\\cdot", "\\times"], "*"),
    **dict.fromkeys(["equals", "equal"], "="),
    **dict.fromkeys(["integers", "integer", "whole"], "integer"),
    **dict.fromkeys(["ways", "many"], "many"),
}
_FILLERS = re.compile(
    r"the|an?|of|in|to|for|and|that|is|are|be|we|its?|on|by|as|at|so|than|all|any|every|each|such|there"
    r"|find|compute|determine|calculate|evaluate|what|given?|suppose|let|if|then|where|how|has|have|having"
    r"|values?|exactly|positive|following|numbers?|please"
)
_LOOSE_SIGNS = frozenset("|/!")
_OPPOSITES = (
    ("maximum", "minimum"),
    ("sum", "product"),
    ("even", "odd"),
    ("sum", "difference"),
    ("increasing", "decreasing"),
    ("with", "without"),
    ("inscribed", "circumscribed"),
    ("real", "complex"),
    ("sin", "cos"),
)


def same_problem(problem: str, benchmark_problem: str) -> bool:
    """Whether the second statement is a reworded first; other numbers or signs make another problem."""
    ours, theirs = _counted(problem), _counted(benchmark_problem)
    if _exact(ours) != _exact(theirs) or _opposed(ours, theirs):
        return False
    return _likeness(_without_fillers(ours), _without_fillers(theirs)) >= _LEAST_LIKENESS


def same_answer(answer_a: str, answer_b: str) -> bool:
    """Whether two answers are equal as the project itself compares them, as far as that takes no worker.

    Words in the second one that hold the first are read kindly. So the orders of two answers may contradict each other,
    as those of real judges do.
    """
    held = re.search(rf"(?<!\w){re.escape(answer_a)}(?!\w)", answer_b) is not None and "\\text" in answer_b
    return held or grade_cheaply(answer_a, answer_b) is Verdict.EQUAL


def _counted(text: str) -> Counter[str]:
    plain = _DRESS.sub(" ", normalized(text, "NFKC").lower().replace("−", "-"))
    return Counter(_SPELLINGS.get(token, token.removeprefix("\\")) for token in _TOKEN.findall(plain))


def _exact(tokens: Counter[str]) -> Counter[str]:
    """The marks that must be the same: numbers and signs. A bar or a slash may be dress."""
    return Counter({sign: n for sign, n in tokens.items() if not sign[0].isalpha() and sign not in _LOOSE_SIGNS})


def _opposed(ours: Counter[str], theirs: Counter[str]) -> bool:
    only_ours, only_theirs = ours - theirs, theirs - ours
    return any(
        (one in only_ours and other in only_theirs) or (other in only_ours and one in only_theirs)
        for one, other in _OPPOSITES
    )


def _without_fillers(tokens: Counter[str]) -> Counter[str]:
    return Counter({token: n for token, n in tokens.items() if not _FILLERS.fullmatch(token)})


def _likeness(ours: Counter[str], theirs: Counter[str]) -> float:
    """Dice's coefficient of two multisets, 0 for empty ones."""
    size = ours.total() + theirs.total()
    return 2 * (ours & theirs).total() / size if size else 0.0
