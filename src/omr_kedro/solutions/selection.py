"""The candidate that a comparison chooses, and whether it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from omr_kedro.llm.calls import Completion
from omr_kedro.text import Unreadable, split_reasoning
from omr_kedro.text.choices import parse_choice


class SelectionOutcome(StrEnum):
    """Outcomes of a comparison."""

    RIGHT = "right"
    WRONG = "wrong"
    UNCLEAR = "unclear"
    """It gives no choice, or was cut: never read as one."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A comparison as a model has written it."""

    comparison: str
    reasoning: str
    chosen: int | None
    """Place of the candidate that it chooses, from 0; None where it is unclear."""
    why_unclear: str = ""


def read_selection(completion: Completion, answers: Sequence[str]) -> Selection:
    """The comparison of a reply, and the candidate that it chooses.

    Args:
        completion: the reply to the prompt `select_solution`.
        answers: of the candidates, in the order in which they were shown.
    """
    if completion.error_kind:
        return Selection("", "", None, completion.error_kind)
    reply = split_reasoning(completion.text, completion.reasoning)
    if isinstance(reply, Unreadable):
        why = "cut" if completion.cut else reply.reason
        return Selection(completion.text, completion.reasoning or "", None, why)
    if completion.cut:
        return Selection(reply.text, reply.reasoning, None, "cut")
    number = parse_choice(reply.text, len(answers), answers)
    if isinstance(number, Unreadable):
        return Selection(reply.text, reply.reasoning, None, f"{number.reason}: {number.detail}".rstrip(": "))
    return Selection(reply.text, reply.reasoning, number - 1)


def outcome_of(chosen: int | None, correct: Sequence[bool]) -> SelectionOutcome:
    """The outcome of a choice among candidates of which these are right."""
    if chosen is None:
        return SelectionOutcome.UNCLEAR
    return SelectionOutcome.RIGHT if correct[chosen] else SelectionOutcome.WRONG
