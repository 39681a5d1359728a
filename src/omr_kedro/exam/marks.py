"""Marks: the outcome that a stage read from a model's replies, beside the outcome that is gold.

A mark knows the class of both outcomes, so that a score can be taken class by class: a judge that says one word to
everything has one class right and the others wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from omr_kedro.answers.forms import Form, asked_form
from omr_kedro.solutions import equal_answers
from omr_kedro.solutions.answer_classes import equal_both_ways
from omr_kedro.solutions.summaries import Flaw
from omr_kedro.text import math_tokens, normal_form

NO_PROBLEM, ONE_PROBLEM, SEVERAL_PROBLEMS = "none", "one", "several"
ANSWERED, UNANSWERED = "answered", "unanswered"
CONVERTIBLE, NOT_CONVERTIBLE = "convertible", "not convertible"
SUMMARY = "summary"
CHOICE = "choice"
_DEMANDS_PROOF = re.compile(r"\b(?:prove|show)\s+that\b|^\W*prove\b", re.IGNORECASE)
_NO_BRACES = str.maketrans("", "", "{}")


class Mark(StrEnum):
    """Marks of a row."""

    RIGHT = "right"
    WRONG = "wrong"
    UNPARSED = "unparsed"
    """No outcome could be read: the reply fits no form, is not whole, or never came. Counts as not right."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A row with its mark."""

    mark: Mark
    gold_class: str
    gold: str
    """The outcome that is gold, as text."""
    given_class: str | None = None
    """Class of the outcome that was read; None where there is none."""
    given: str = ""
    """The outcome that was read, as text."""
    reason: str = ""
    """Why none could be read, or why it is wrong where the texts do not tell."""
    said: Sequence[str] = ()
    """Of a judge: what it said in each order, or why that could not be read."""


def unparsed(gold_class: str, gold: str, reason: str, said: Sequence[str] = ()) -> Marked:
    """The mark of a row whose replies hold no outcome."""
    return Marked(Mark.UNPARSED, gold_class, gold, reason=reason, said=said)


def mark_label(gold: str, given: str, said: Sequence[str] = ()) -> Marked:
    """The mark of one label out of a closed set."""
    return Marked(_mark(gold == given), gold, gold, given, given, said=said)


def mark_statements(gold: Sequence[str], given: Sequence[str], threshold: float) -> Marked:
    """The mark of statements that were extracted: as many as are gold, and each of them one of these, in any order.

    Args:
        gold: statements of a post.
        given: statements that were read.
        threshold: likeness (`likeness`) from which on two statements are one.
    """
    matched = len(gold) == len(given) and _pair_off(gold, given, threshold)
    reason = "" if matched else f"{len(given)} given, {len(gold)} gold; not every one has its own"
    return Marked(_mark(matched), _how_many(gold), "\n\n".join(gold), _how_many(given), "\n\n".join(given), reason)


def mark_answer(gold: str | None, accepted: Iterable[str], given: str | None) -> Marked:
    """The mark of an answer that was extracted.

    Args:
        gold: the answer, None where there is none to find.
        accepted: other texts that are equally right.
        given: the answer that was read, None where the reply says that there is none.
    """
    right = given is gold if gold is None or given is None else _is_one_of((gold, *accepted), given)
    classes = [UNANSWERED if answer is None else ANSWERED for answer in (gold, given)]
    return Marked(_mark(right), classes[0], gold or "", classes[1], given or "")


def mark_summary(gold: str, given: str | None, flaws: Sequence[str]) -> Marked:
    """The mark of a summary: right if one is valid, so that it states the solution's answer.

    Args:
        gold: the solution's answer.
        given: the answer of the summary that was chosen, None where none was.
        flaws: of those that were drawn.
    """
    if given is not None:
        return Marked(Mark.RIGHT, SUMMARY, gold, SUMMARY, given)
    reason = ", ".join(flaws) or "not_asked"
    if Flaw.OTHER_ANSWER in flaws:
        return Marked(Mark.WRONG, SUMMARY, gold, reason=reason)
    return unparsed(SUMMARY, gold, reason)


def mark_choice(right: Collection[int], chosen: int | None, why_unclear: str = "") -> Marked:
    """The mark of a choice among candidates.

    Args:
        right: places of the right ones, from 0.
        chosen: place that was chosen, None where the reply gives none.
        why_unclear: why it gives none.
    """
    gold = ", ".join(f"candidate {place + 1}" for place in sorted(right))
    if chosen is None:
        return unparsed(CHOICE, gold, why_unclear or "unparsed")
    return Marked(_mark(chosen in right), CHOICE, gold, CHOICE, f"candidate {chosen + 1}")


def mark_conversion(proof: str, convertible: bool, given: str | None, answer: str | None = None) -> Marked:
    """The mark of a conversion: whether there is one where there can be one, and asks for a value that it hides.

    Whether the question has the right answer only a solver could tell; it is not examined.

    Args:
        proof: the statement that was to be converted.
        convertible: whether it can be.
        given: the statement that was read, None where the reply says that there is none.
        answer: the value that there is to ask for, if known.
    """
    gold = CONVERTIBLE if convertible else NOT_CONVERTIBLE
    if given is None:
        return Marked(_mark(not convertible), gold, gold, NOT_CONVERTIBLE, "")
    if fault := _fault_of_question(proof, answer, given):
        return Marked(Mark.WRONG, gold, gold, CONVERTIBLE, given, fault)
    return Marked(_mark(convertible), gold, gold, CONVERTIBLE, given)


def _fault_of_question(proof: str, answer: str | None, given: str) -> str:
    if normal_form(given) == normal_form(proof) or _DEMANDS_PROOF.search(given):
        return "still asks for a proof"
    if asked_form(given) is Form.YES_NO:
        return "asks for yes or no"
    # An answer that the proof has in two places may have to stay in one.
    if answer and 0 < _occurrences(answer, proof) <= _occurrences(answer, given):
        return "states its answer"
    return ""


def _occurrences(value: str, within: str) -> int:
    r"""How often a value stands in a text, as no part of another number; `\frac{3}{4}` is `\frac34`."""
    wanted, text = ("".join(math_tokens(each)).translate(_NO_BRACES) for each in (value, within))
    return len(re.findall(rf"(?<![\d.]){re.escape(wanted)}(?!\.?\d)", text))


def likeness(left: str, right: str) -> float:
    """Jaccard index of two statements: tokens that both have, by tokens of either, each as often as it stands there.

    It is 0 where other numbers stand in one than in the other, since with these it is another problem.
    """
    one, other = Counter(math_tokens(left)), Counter(math_tokens(right))
    if {token for token in one if token[0].isdigit()} != {token for token in other if token[0].isdigit()}:
        return 0.0
    either = (one | other).total()
    return (one & other).total() / either if either else 1.0


def _mark(right: bool) -> Mark:
    return Mark.RIGHT if right else Mark.WRONG


def _how_many(statements: Sequence[str]) -> str:
    return (NO_PROBLEM, ONE_PROBLEM)[len(statements)] if len(statements) < 2 else SEVERAL_PROBLEMS


def _is_one_of(accepted: Iterable[str], given: str) -> bool:
    return any(equal_both_ways(answer, given, equal_answers) for answer in accepted)


def _pair_off(gold: Sequence[str], given: Sequence[str], threshold: float) -> bool:
    """Whether each statement has one of its own among the others: the likest pairs first."""
    pairs = [(likeness(one, other), i, j) for i, one in enumerate(gold) for j, other in enumerate(given)]
    taken: set[int] = set()
    found: set[int] = set()
    for like, one, other in sorted(pairs, key=lambda pair: (-pair[0], *pair[1:])):
        if like >= threshold and one not in found and other not in taken:
            found.add(one)
            taken.add(other)
    return len(found) == len(gold)
