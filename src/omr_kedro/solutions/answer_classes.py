"""Classes of equal answers: by them samples vote, and a judge is asked once for each.

Equality of short answers is not transitive: `0.5` and `50` each equal `50%`. So an answer joins the first class whose
first member it equals, both ways, and classes are never joined by chains, in which one mistake would merge two large
ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omr_kedro.answers import Verdict, grade_cheaply, same_text, surely_equal
from omr_kedro.shards import unless_crashed

Equal = Callable[[str, str], bool]
"""Whether the second answer equals the first."""


@dataclass(frozen=True, slots=True)
class AnswerClass:
    """Samples whose answers equal the answer of the first one of them."""

    answer: str
    """The first sample's."""
    samples: tuple[int, ...]
    """Their indices, ascending."""

    @property
    def votes(self) -> int:
        """How many samples gave this answer."""
        return len(self.samples)


def answer_classes(answers: Sequence[tuple[int, str]], equal: Equal) -> list[AnswerClass]:
    """Group samples by their answers, taken by ascending index; classes stand in the order of their first members.

    Later samples never change the classes of earlier ones.

    Args:
        answers: index and answer of each sample, in any order.
        equal: asked both ways, and once for each two texts; it must say the same whenever it is asked.

    Raises:
        ValueError: two samples have one index.
    """
    if len({index for index, _ in answers}) < len(answers):
        raise ValueError("two samples have the same index")
    members: dict[str, list[int]] = {}
    class_of: dict[str, str] = {}
    for index, answer in sorted(answers):
        if answer not in class_of:
            joined = next((first for first in members if equal_both_ways(first, answer, equal)), answer)
            class_of[answer] = joined
        members.setdefault(class_of[answer], []).append(index)
    return [AnswerClass(first, tuple(samples)) for first, samples in members.items()]


def equal_both_ways(left: str, right: str, equal: Equal) -> bool:
    """Whether two answers are equal, whichever of them comes first; the same text is equal to itself."""
    return left == right or (equal(left, right) and equal(right, left))


def equal_answers(left: str, right: str) -> bool:
    """Whether two short answers are equal as far as this process can tell; unequal where it cannot.

    The ladder of `answers.grade` without its workers: another kind (number, set, tuple, interval, equation, words, …)
    is another answer unless it is known dress; then text, exact and numeric values. It counts steps and no time
    (`answers.effort`), so it says the same on every machine. Sums, integrals and numbers beyond 5,000 bits are equal to
    the same text only: their classes stay apart, and a judge may join them.

    So do those of answers that a problem can tell apart (`answers.doubt`): the same values in another order, a ratio
    and a fraction, a number in two bases. All samples of a class get the verdict on its first answer.
    """
    return grade_cheaply(left, right) is Verdict.EQUAL and unless_crashed(_unequal, _whatever_is_asked, left, right)


def _whatever_is_asked(left: str, right: str) -> bool:
    return same_text(left, right) or surely_equal(left, right)


def _unequal(error: str) -> bool:
    del error
    return False
