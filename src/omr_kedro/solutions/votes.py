"""Votes of a problem's samples: which samples vote, for which answer, and which answer has the majority."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omr_kedro.answers import has_answer
from omr_kedro.answers.readings import MAX_CHARS
from omr_kedro.solutions.answer_classes import AnswerClass, Equal, answer_classes, equal_answers
from omr_kedro.text import final_text
from omr_kedro.text.boxes import final_box
from omr_kedro.text.final_answer import short_form

NO_BOX = "no_box"
"""Why a whole reply does not vote: its last box holds no short answer, or there is none."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A try at a problem: its answer, or why it has no vote. Both count as a try."""

    index: int
    """From 0 up: the number that its seed follows from, never a place in the order of arrival."""
    answer: str | None
    no_vote: str | None = None
    """Why there is no answer: `NO_BOX`, or why the reply is not whole."""

    def __post_init__(self) -> None:
        if (self.answer is None) is (self.no_vote is None):
            raise ValueError("a sample has either an answer or a reason why it has none")


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes of all samples that were drawn for a problem."""

    classes: tuple[AnswerClass, ...]
    """Most votes first; among equals the one whose first vote came first."""
    samples_drawn: int
    """Tries, with those that do not vote."""

    @property
    def total(self) -> int:
        """Samples that vote."""
        return sum(each.votes for each in self.classes)

    @property
    def lead(self) -> tuple[int, int]:
        """Votes of the first and of the second class, 0 where there is none."""
        first, second, *_ = (*(each.votes for each in self.classes), 0, 0)
        return first, second

    @property
    def majority(self) -> AnswerClass | None:
        """The class with more votes than any other; None without votes, and where two have as many."""
        first, second = self.lead
        return self.classes[0] if first > second else None

    @property
    def agreement(self) -> float | None:
        """Share of the votes that the majority has, above 0 to 1; None without a majority."""
        return self.majority.votes / self.total if self.majority else None


def read_sample(index: int, reply: str, why_not_whole: str | None = None) -> Sample:
    """The sample that a reply is.

    Args:
        index: of the sample.
        reply: of the model, with or without its reasoning.
        why_not_whole: the finish reason of a reply that was cut (`length`, `abort`, `repetition`, …), or the kind of
            the error that came in its place; None for a whole reply. A box in a cut reply is no answer.
    """
    if why_not_whole is not None:
        return Sample(index, None, why_not_whole)
    answer = final_answer(reply)
    return Sample(index, answer, NO_BOX if answer is None else None)


def final_answer(reply: str) -> str | None:
    """The short form of the last box behind the reasoning block.

    None without one, for one that never closes, one that holds nothing to compare (`?`, `-`, blanks), and one of more
    than `MAX_CHARS` characters, which holds no short answer.
    """
    answer = short_form(final_box(final_text(reply)) or "")
    return answer if len(answer) <= MAX_CHARS and has_answer(answer) else None


def count_votes(samples: Sequence[Sample], equal: Equal = equal_answers) -> Votes:
    """The votes of a problem's samples; the order in which they are given makes no difference.

    Raises:
        ValueError: two samples with an answer have one index.
    """
    classes = answer_classes([(each.index, each.answer) for each in samples if each.answer is not None], equal)
    return Votes(tuple(sorted(classes, key=lambda each: -each.votes)), len(samples))
