"""Which of several summaries of one solution is kept, and when enough of them are drawn.

A summary takes the place of the solution's own final text behind its reasoning. It must therefore state the solution's
answer itself: its own last box is read and compared. (The original compares the solution's answer with itself, and
keeps summaries that end in another one.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from omr_kedro.answers import has_answer
from omr_kedro.llm.calls import Completion
from omr_kedro.text import Unreadable, split_reasoning
from omr_kedro.text.boxes import final_box
from omr_kedro.text.final_answer import short_form

MAX_TOKENS = 2048
"""Of a summary, its model's reasoning not counted (arXiv 2504.16891)."""
MOST_DRAWN = 4
"""Summaries of one solution at most (arXiv 2504.16891)."""
_WANTED = 2
"""Summaries to choose the longer one from, the first valid one among them."""


class Flaw(StrEnum):
    """Reasons why a summary cannot stand for its solution, beside those of replies that hold no text."""

    CUT = "cut"
    TOO_LONG = "too_long"
    NO_ANSWER = "no_answer"
    """No box, an empty one, or one that never ends."""
    OTHER_ANSWER = "other_answer"


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary as it was drawn."""

    text: str
    """Empty where the reply holds none."""
    answer: str = ""
    """Its own final answer, empty where there is none."""
    flaw: str | None = None
    """None for one that is valid."""


def read_summary(
    completion: Completion, same_answer: Callable[[str], bool], count_tokens: Callable[[str], int]
) -> Summary:
    """The summary of a reply, and its first flaw.

    Args:
        completion: the reply to the prompt `summarise_solution`.
        same_answer: whether an answer is that of the solution, or of its class.
        count_tokens: tokens of a text.
    """
    if completion.error_kind:
        return Summary("", flaw=completion.error_kind)
    reply = split_reasoning(completion.text, completion.reasoning)
    if isinstance(reply, Unreadable):
        return Summary("", flaw=Flaw.CUT if completion.cut else reply.reason)
    answer = short_form(final_box(reply.text) or "")
    return Summary(reply.text, answer, _flaw(completion, reply.text, answer, same_answer, count_tokens))


def _flaw(
    completion: Completion,
    text: str,
    answer: str,
    same_answer: Callable[[str], bool],
    count_tokens: Callable[[str], int],
) -> Flaw | None:
    if completion.cut:
        return Flaw.CUT
    if count_tokens(text) > MAX_TOKENS:
        return Flaw.TOO_LONG
    if not has_answer(answer):
        return Flaw.NO_ANSWER
    return None if same_answer(answer) else Flaw.OTHER_ANSWER


def enough(summaries: Sequence[Summary]) -> bool:
    """Whether no more are drawn: one more after the first valid one is there, or `MOST_DRAWN` are.

    Args:
        summaries: those drawn so far, in the order of their samples.
    """
    valid = _valid(summaries)
    return len(summaries) >= MOST_DRAWN or bool(valid and len(summaries) >= valid[0] + _WANTED)


def chosen(summaries: Sequence[Summary]) -> int | None:
    """The place of the longest valid summary, in characters, and of the first of several; None where none is valid."""
    return max(_valid(summaries), key=lambda place: len(summaries[place].text), default=None)


def _valid(summaries: Sequence[Summary]) -> list[int]:
    return [place for place, summary in enumerate(summaries) if summary.flaw is None]
