"""Which of several summaries of one text is kept, and when enough of them are drawn.

A summary takes the place of the text that it sums up: of a solution's final text behind its reasoning, or of a
comparison of candidates. It must therefore state the same result itself: the solution's answer, in its own last box, or
the comparison's choice. (The original compares the solution's answer with itself, and keeps summaries that end in
another one.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from omr_kedro.answers import has_answer
from omr_kedro.llm.calls import Completion, Request, StepFailedError, Steps
from omr_kedro.llm.calls.token_estimate import estimate_reply_tokens
from omr_kedro.text import Unreadable, split_reasoning
from omr_kedro.text.boxes import final_box
from omr_kedro.text.choices import parse_choice
from omr_kedro.text.final_answer import short_form

MAX_TOKENS = 2048
"""Of a summary, its model's reasoning not counted (arXiv 2504.16891)."""
MOST_DRAWN = 4
"""Summaries of one text at most (arXiv 2504.16891)."""
_WANTED = 2
"""Summaries to choose the longer one from, the first valid one among them."""


class Flaw(StrEnum):
    """Reasons why a summary cannot stand for what it sums up, beside those of replies that hold no text."""

    CUT = "cut"
    TOO_LONG = "too_long"
    NO_ANSWER = "no_answer"
    """No box, an empty one, or one that never ends."""
    OTHER_ANSWER = "other_answer"
    NO_CHOICE = "no_choice"
    """None, or several that contradict each other."""
    OTHER_CHOICE = "other_choice"


@dataclass(frozen=True, slots=True)
class Stated:
    """The result that a text states, and its flaw where that is not the one that it should be."""

    result: str
    """Empty where it states none."""
    flaw: Flaw | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary as it was drawn."""

    text: str
    """Empty where the reply holds none."""
    result: str = ""
    """The final answer that it states, or the number of the candidate that it chooses; empty where there is none."""
    flaw: str | None = None
    """None for one that is valid."""


def answer_stated(text: str, same_answer: Callable[[str], bool]) -> Stated:
    """The answer in the last box of a text.

    Args:
        text: a summary of a solution.
        same_answer: whether an answer is that of the solution, or of its class.
    """
    answer = short_form(final_box(text) or "")
    if not has_answer(answer):
        return Stated(answer, Flaw.NO_ANSWER)
    return Stated(answer, None if same_answer(answer) else Flaw.OTHER_ANSWER)


def choice_stated(text: str, chosen: int, answers: Sequence[str]) -> Stated:
    """The candidate that a text chooses.

    Args:
        text: a summary of a comparison.
        chosen: the number, from 1, that the comparison chooses.
        answers: of the candidates.
    """
    choice = parse_choice(text, len(answers), answers)
    if isinstance(choice, Unreadable):
        return Stated("", Flaw.NO_CHOICE)
    return Stated(str(choice), None if choice == chosen else Flaw.OTHER_CHOICE)


def read_summary(
    completion: Completion, stated: Callable[[str], Stated], count_tokens: Callable[[str], int] | None = None
) -> Summary:
    """The summary of a reply, and its first flaw.

    Args:
        completion: the reply to a prompt that asks for a summary.
        stated: the result that a text states.
        count_tokens: tokens of a text; without it, those that the server has counted, where they are of the summary
            alone.
    """
    if completion.error_kind:
        return Summary("", flaw=completion.error_kind)
    reply = split_reasoning(completion.text, completion.reasoning)
    if isinstance(reply, Unreadable):
        return Summary("", flaw=Flaw.CUT if completion.cut else reply.reason)
    found = stated(reply.text)
    if completion.cut:
        return Summary(reply.text, found.result, Flaw.CUT)
    tokens = count_tokens(reply.text) if count_tokens else _tokens(completion, reply.text)
    return Summary(reply.text, found.result, Flaw.TOO_LONG if tokens > MAX_TOKENS else found.flaw)


def _tokens(completion: Completion, text: str) -> int:
    # The server's count holds for all of the reply; reasoning, wherever it stands, is no part of the summary.
    alone = not completion.reasoning and len(text) == len(completion.text.strip())
    return (alone and completion.completion_tokens) or estimate_reply_tokens(text)


async def draw_summaries(steps: Steps, asked: Request, read: Callable[[Completion], Summary]) -> None:
    """Draw summaries of one text, one after the other, until there is enough to choose from."""
    summaries: list[Summary] = []
    while not enough(summaries):
        try:
            completion = await steps.ask(asked.sample(len(summaries)))
        except StepFailedError as failed:
            completion = failed.completion
        summaries.append(read(completion))


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
