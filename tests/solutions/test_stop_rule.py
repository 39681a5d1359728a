from __future__ import annotations

import random
from collections.abc import Sequence
from operator import eq
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from omr_kedro.solutions import Decision, Sample, StopReason, StopRule, decide
from omr_kedro.solutions.stop_rule import is_settled

CUT = None
ANSWERS = st.lists(st.sampled_from(["1", "2", "3", CUT]), min_size=32, max_size=32)
REFERENCES = st.sampled_from(["1", "2", None])
RULES = st.sampled_from(
    [
        StopRule(),
        StopRule(correct=1),
        StopRule(correct=8, give_up_after=8),
        StopRule(settled_by="anytime", give_up_after=40),
        StopRule(rounds=(1, 2, 3, 5, 8, 32), confidence=0.6),
        StopRule(settle_known=True, confidence=0.8),
        StopRule(fixed=32),
    ]
)


def samples(answers: Sequence[str | None]) -> list[Sample]:
    return [Sample(index, answer, None if answer else "length") for index, answer in enumerate(answers)]


def drawn_by(rule: StopRule, answers: Sequence[str | None], reference: str | None) -> tuple[list[Sample], Decision]:
    """All that is drawn of these answers, round by round, and the decision that ends it."""
    everything, drawn = samples(answers), list[Sample]()
    while True:
        drawn += [everything[index] for index in rule.next_round(len(drawn))]
        decision = decide(rule, drawn, reference, eq)
        if decision is not None:
            return drawn, decision


def ended(rule: StopRule, answers: Sequence[str | None], reference: str | None = None) -> tuple[StopReason, int]:
    drawn, decision = drawn_by(rule, answers, reference)
    return decision.stop_reason, len(drawn)


@pytest.mark.parametrize(
    ("answers", "reference", "end"),
    [
        (["5"] * 32, "5", (StopReason.CORRECT, 4)),
        (["5", "7"] * 16, "5", (StopReason.CORRECT, 8)),
        (["7"] * 16 + ["5"] * 16, "5", (StopReason.SUSPECT_ANSWER, 16)),
        (["5"] + ["7"] * 31, "5", (StopReason.ROUNDS_USED, 32)),
        ([str(number) for number in range(32)], "99", (StopReason.NO_MAJORITY, 16)),
        ([CUT] * 32, "5", (StopReason.NO_MAJORITY, 16)),
        (["5"] * 32, None, (StopReason.SETTLED, 4)),
        (["5"] * 3 + ["7"] + ["5"] * 28, None, (StopReason.SETTLED, 8)),
        (["5", CUT] * 16, None, (StopReason.SETTLED, 8)),
        (["5", "7"] * 16, None, (StopReason.NO_MAJORITY, 32)),
        ([str(number) for number in range(32)], None, (StopReason.NO_MAJORITY, 16)),
        ([CUT] * 32, None, (StopReason.NO_MAJORITY, 16)),
    ],
)
def test_a_problem_ends_for_a_reason_after_a_whole_round(
    answers: list[str | None], reference: str | None, end: tuple[StopReason, int]
) -> None:
    assert ended(StopRule(), answers, reference) == end


@pytest.mark.parametrize(
    ("settled_by", "confidence", "table"),
    [
        ("beta", 0.95, [4, 6, 8, 9, 11, 12, 14, 15, 17]),
        ("beta", 0.99, [6, 9, 11, 13, 14, 16, 18, 19, 21]),
        ("anytime", 0.95, [7, 10, 12, 14, 16, 18, 20, 22, 24]),
    ],
)
def test_votes_that_settle_a_majority_by_those_of_the_second_answer(
    settled_by: str, confidence: float, table: list[int]
) -> None:
    rule = StopRule.model_validate({"settled_by": settled_by, "confidence": confidence})
    for second, first in enumerate(table):
        assert is_settled(rule, first, second)
        assert not is_settled(rule, first - 1, second)


def test_of_answers_that_are_equally_likely_one_in_twenty_is_settled_at_most_however_often_one_looks() -> None:
    rng = random.Random(8)
    looks = range(1, 201)
    wrongly = {"beta": 0, "anytime": 0}
    problems = 2000
    for _ in range(problems):
        flips = [rng.random() < 0.5 for _ in looks]
        for settled_by in wrongly:
            rule = StopRule.model_validate({"settled_by": settled_by})
            heads = 0
            for look, flip in zip(looks, flips, strict=True):
                heads += flip
                if heads > look - heads and is_settled(rule, heads, look - heads):
                    wrongly[settled_by] += 1
                    break
    assert wrongly["anytime"] <= 0.05 * problems < wrongly["beta"]


def test_a_majority_is_carried_by_as_many_samples_as_are_wanted() -> None:
    assert ended(StopRule(correct=6), ["5"] * 32) == (StopReason.SETTLED, 8)
    assert ended(StopRule(correct=1, confidence=0.9), ["5"] * 32) == (StopReason.SETTLED, 4)


def test_a_known_answer_may_have_to_wait_until_the_vote_is_settled() -> None:
    waits = StopRule(settle_known=True)
    assert ended(waits, ["5"] * 32, "5") == (StopReason.CORRECT, 4)
    assert ended(waits, ["5", "7"] * 6 + ["7"] * 20, "5") == (StopReason.CORRECT, 24)
    assert ended(waits, ["5", "7"] * 16, "5") == (StopReason.CORRECT, 32)


@given(RULES, ANSWERS, REFERENCES, st.randoms(use_true_random=False))
def test_the_decision_does_not_hang_on_the_order_in_which_samples_arrive(
    rule: StopRule, answers: list[str | None], reference: str | None, rng: random.Random
) -> None:
    numbered = samples(answers)
    for drawn in rule.schedule:
        arrived = numbered[:drawn]
        rng.shuffle(arrived)
        assert decide(rule, arrived, reference, eq) == decide(rule, numbered[:drawn], reference, eq)


@given(RULES, ANSWERS, REFERENCES)
def test_what_is_drawn_is_the_beginning_of_a_fixed_draw(
    rule: StopRule, answers: list[str | None], reference: str | None
) -> None:
    fixed, end = drawn_by(StopRule(fixed=32), answers, reference)
    drawn, _ = drawn_by(rule, answers, reference)
    assert end.stop_reason is StopReason.FIXED
    assert drawn == fixed[: len(drawn)]


@given(RULES, ANSWERS, REFERENCES)
def test_sampling_ends_with_a_round_and_at_the_last_one_anyway(
    rule: StopRule, answers: list[str | None], reference: str | None
) -> None:
    drawn, decision = drawn_by(rule, answers, reference)
    assert len(drawn) in rule.schedule
    assert decision.votes.samples_drawn == len(drawn)
    if len(drawn) < rule.schedule[-1]:
        assert decision.stop_reason is not StopReason.ROUNDS_USED
    if decision.stop_reason in {StopReason.CORRECT, StopReason.SETTLED}:
        assert decision.correct is not None
        assert len(decision.correct) >= rule.correct


@given(ANSWERS)
def test_a_known_answer_that_samples_agree_on_is_never_suspect(answers: list[str | None]) -> None:
    _, decision = drawn_by(StopRule(), answers, "1")
    assert (decision.stop_reason is StopReason.SUSPECT_ANSWER) <= (answers.index("1") >= 16 if "1" in answers else True)


@pytest.mark.parametrize("indices", [[], [0, 1, 2], [0, 1, 2, 3, 4], [0, 1, 2, 4], [0, 0, 1, 2], [1, 2, 3, 4]])
def test_only_complete_rounds_are_decided(indices: list[int]) -> None:
    with pytest.raises(ValueError, match="round"):
        decide(StopRule(), [Sample(index, "5") for index in indices])


def test_each_round_names_its_samples() -> None:
    rule = StopRule.model_validate({"rounds": [4, 8, 12]})
    assert [rule.next_round(drawn) for drawn in (0, 4, 8, 12)] == [range(4), range(4, 8), range(8, 12), range(12, 12)]
    assert list(StopRule(fixed=3).next_round(0)) == [0, 1, 2]


def test_a_known_answer_is_compared_as_mathematics_and_once_for_each_class() -> None:
    asked = list[tuple[str, str]]()

    def judged(left: str, right: str) -> bool:
        asked.append((left, right))
        return {left, right} <= {"one half", "1/2"}

    decision = decide(StopRule(), samples(["1/2", "1/3", "1/2", "1/3"] * 2), "one half", judged)
    assert decision is not None
    assert decision.correct == frozenset({0, 2, 4, 6})
    assert sorted(asked) == [("1/2", "1/3"), ("1/2", "one half"), ("one half", "1/2"), ("one half", "1/3")]
    assert decide(StopRule(), samples(["0.5", "\\frac12", "x=1/2", "50\\%"]), "1/2") is not None


def test_a_judge_is_asked_once_for_each_class_and_changes_no_class() -> None:
    asked = list[tuple[str, str]]()

    def judge(reference: str, answer: str) -> bool:
        asked.append((reference, answer))
        return True

    decision = decide(StopRule(), samples(["a", "b", "a", "b"]), "a", eq, judge)
    assert decision is not None
    assert [each.answer for each in decision.votes.classes] == ["a", "b"]
    assert decision.correct == frozenset({0, 1, 2, 3})
    assert asked == [("a", "a"), ("a", "b")]


def test_two_classes_may_both_be_correct() -> None:
    decision = decide(StopRule(), samples(["a", "b"] * 2), "c", lambda left, right: "c" in {left, right})
    assert decision is not None
    assert decision.correct == frozenset({0, 1, 2, 3})


def test_pass_rates_are_of_the_reference_answer() -> None:
    _, known = drawn_by(StopRule(), ["7", "5", "7", "5", "5", "7", "5", "7"] + ["7"] * 24, "5")
    assert known.pass_rate == pytest.approx(3 / 6)
    assert known.pass_rate_first8 == 0.5
    _, settled = drawn_by(StopRule(), ["5"] * 32, None)
    assert (settled.pass_rate, settled.pass_rate_first8) == (1, None)
    _, open_vote = drawn_by(StopRule(), ["5", "7"] * 16, None)
    assert (open_vote.pass_rate, open_vote.correct) == (None, None)
    _, fixed = drawn_by(StopRule(fixed=32), ["5", "5", "5", CUT] * 8, None)
    assert fixed.pass_rate == 0.75
    assert fixed.correct == frozenset(index for index in range(32) if index % 4 != 3)


@pytest.mark.parametrize(
    "options",
    [
        {"rounds": []},
        {"rounds": [4, 4]},
        {"rounds": [8, 4]},
        {"rounds": [0, 4]},
        {"rounds": [2, 3]},
        {"correct": 0},
        {"confidence": 1},
        {"confidence": 0.5},
        {"settled_by": "luck"},
        {"fixed": 0},
        {"k": 4},
    ],
)
def test_a_rule_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StopRule.model_validate(options)
