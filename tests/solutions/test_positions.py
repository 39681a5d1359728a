"""A judge that goes by places is told from one that goes by solutions."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from omr_kedro.solutions.positions import Choice, PositionCounts, PositionTally, told_of_agreement

Judge = Callable[[tuple[str, ...], tuple[bool, ...]], int | None]


def asked_twice(judge: Judge, sets: int = 40) -> list[Choice]:
    """Choices of a judge in both orders of some sets of four, the one wanted solution anywhere in the first order."""
    chance = random.Random(1)

    def both() -> Iterator[Choice]:
        for number in range(sets):
            ids = [f"{number}-{index}" for index in range(4)]
            first = chance.sample(ids, 4)
            for order, shown in enumerate((first, first[1:] + first[:1])):
                correct = tuple(one.endswith("-0") for one in shown)
                yield Choice(f"set {number}", order, tuple(shown), correct, judge(tuple(shown), correct))

    found = list(both())
    chance.shuffle(found)
    return found


def tally_of(judge: Judge) -> PositionTally:
    tally = PositionTally()
    tally.add(asked_twice(judge))
    return tally


def test_a_judge_that_looks_at_solutions_chooses_right_ones_wherever_they_stand_and_agrees_with_itself() -> None:
    tally = tally_of(lambda ids, correct: correct.index(True))
    total = tally.total()
    assert (total.shown, total.right, total.chosen, total.chosen_right) == (320, 80, 80, 80)
    assert total.asked_twice == total.agreed == 40
    assert all(counts.chosen == counts.right > 0 for counts in tally.counts.values())
    assert told_of_agreement(total.asked_twice, total.agreed) == ""


def test_a_judge_that_always_says_one_is_shown_plainly() -> None:
    tally = tally_of(lambda ids, correct: 0)
    assert [tally.counts[position].chosen for position in range(1, 5)] == [80, 0, 0, 0]
    assert tally.counts[1].by_chance == 20
    total = tally.total()
    assert (total.asked_twice, total.agreed) == (40, 0)
    assert "0 had the same solution chosen (0%): the judge goes by the order" in told_of_agreement(40, 0)


def test_unclear_choices_are_shown_but_not_chosen_and_make_no_pair() -> None:
    tally = tally_of(lambda ids, correct: None)
    assert tally.total() == PositionCounts(shown=320, right=80)


def test_a_set_is_counted_at_the_place_of_its_first_order_whichever_comes_first() -> None:
    first = Choice("s", 0, ("a", "b"), (True, False), 1)
    second = Choice("s", 1, ("b", "a"), (False, True), 0)
    for choices in ([first, second], [second, first]):
        tally = PositionTally()
        tally.add(choices)
        assert (tally.counts[1].asked_twice, tally.counts[2].asked_twice, tally.counts[2].agreed) == (0, 1, 1)


@pytest.mark.parametrize(("twice", "agreed", "told"), [(9, 0, False), (10, 4, True), (10, 5, False), (0, 0, False)])
def test_little_is_no_proof(twice: int, agreed: int, told: bool) -> None:
    assert bool(told_of_agreement(twice, agreed)) is told
