from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.solutions import Sample, count_votes, final_answer, read_sample
from omr_kedro.solutions.votes import NO_BOX


def samples(*answers: str | None) -> list[Sample]:
    return [Sample(index, answer, None if answer else NO_BOX) for index, answer in enumerate(answers)]


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("So $x = \\boxed{5}$.", "5"),
        ("First \\boxed{4}, no: \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("\\boxed{$7$.} and then a box that is cut: \\boxed{8", None),
        ("<think>\\boxed{3}?</think>It is \\boxed{4}", "4"),
        ("\\boxed{\\text{no solution}}", "\\text{no solution}"),
        ("<think>It may be \\boxed{3}</think>I do not know.", None),
        ("<think>It may be \\boxed{3}, but", None),
        ("\\boxed{5} is wrong, so \\boxed{}", None),
        ("The answer is 5.", None),
        ("\\boxed{" + "1+" * 1000 + "1}", None),
        ("", None),
    ],
)
def test_the_final_answer_is_the_last_complete_box_behind_the_reasoning(reply: str, answer: str | None) -> None:
    assert final_answer(reply) == answer


@pytest.mark.parametrize("why", ["length", "abort", "repetition", "content_filter", "timeout"])
def test_a_reply_that_is_not_whole_has_no_vote_whatever_it_boxed(why: str) -> None:
    assert read_sample(3, "So it is \\boxed{5}", why) == Sample(3, None, why)


def test_a_whole_reply_votes_if_it_has_a_box() -> None:
    assert read_sample(0, "So it is \\boxed{5}") == Sample(0, "5")
    assert read_sample(1, "So it is 5") == Sample(1, None, NO_BOX)


@pytest.mark.parametrize(("answer", "why"), [(None, None), ("5", "length")])
def test_a_sample_has_either_an_answer_or_a_reason(answer: str | None, why: str | None) -> None:
    with pytest.raises(ValueError, match="either"):
        Sample(0, answer, why)


def test_samples_without_a_vote_count_as_tries() -> None:
    votes = count_votes(samples("0.5", None, "3", "\\frac12", None, "1/2"))
    assert [(each.answer, each.samples) for each in votes.classes] == [("0.5", (0, 3, 5)), ("3", (2,))]
    assert (votes.samples_drawn, votes.total, votes.lead) == (6, 4, (3, 1))
    assert votes.majority == votes.classes[0]
    assert votes.agreement == 0.75


@pytest.mark.parametrize("answers", [[], [None, None], ["1", "2"], ["1", "2", "2", "1", "3"]])
def test_there_is_no_majority_without_votes_or_with_two_answers_level(answers: list[str | None]) -> None:
    votes = count_votes(samples(*answers))
    assert votes.majority is None
    assert votes.agreement is None


@given(st.permutations(samples("1", "2", None, "1.0", "3", "2", "2/1", None, "5", "10/5")))
def test_votes_do_not_hang_on_the_order_in_which_samples_arrive(arrived: list[Sample]) -> None:
    votes = count_votes(arrived)
    assert votes == count_votes(sorted(arrived, key=lambda each: each.index))
    assert [each.answer for each in votes.classes] == ["2", "1", "3", "5"]
