from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.answers import Verdict, grade_cheaply
from omr_kedro.offline_model.replies import Reply
from omr_kedro.offline_model.rules_solve import ORDER, UNSOLVED, Sample, Worked, solve, worked_problems
from omr_kedro.solutions import is_looping
from omr_kedro.text import ReasonedReply, Unreadable, final_text, split_reasoning
from omr_kedro.text.boxes import extract_boxed
from tests.offline_model.examples import THREADS, fates
from tests.offline_model.texts import POSTS

SEEDS = range(2 * len(ORDER))
DEFECTIVE = {Sample.CUT, Sample.LOOPING, Sample.UNBOXED, Sample.MISPLACED, Sample.VAGUE}


def drawn(place: int) -> list[tuple[Sample, Reply]]:
    """Samples of one problem, twice around, each with its kind."""
    problem = worked_problems()[place].problem
    return [(ORDER[(place + seed) % len(ORDER)], solve(problem, seed)) for seed in SEEDS]


def of_kind(kind: Sample) -> list[tuple[Worked, Reply]]:
    return [
        (worked, reply)
        for place, worked in enumerate(worked_problems())
        for found, reply in drawn(place)
        if found is kind
    ]


def box(reply: Reply) -> str | None:
    return extract_boxed(final_text(reply.content))


@pytest.mark.parametrize("worked", worked_problems(), ids=lambda worked: worked.answer)
def test_the_two_right_answers_are_equal_and_the_wrong_one_is_another(worked: Worked) -> None:
    assert grade_cheaply(worked.answer, worked.same_answer) == Verdict.EQUAL
    assert worked.answer != worked.same_answer
    assert grade_cheaply(worked.answer, worked.wrong_answer) == Verdict.UNEQUAL


def test_every_problem_that_goes_on_to_solutions_is_solved_and_as_its_thread_says() -> None:
    goes_on = [fate for thread in THREADS for fate in fates(thread) if fate.kind in {"open", "converted"}]
    assert len(goes_on) == len(worked_problems())
    for fate in goes_on:
        answers = [box(solve(fate.problem, seed)) for seed in SEEDS]
        right = [answer for answer in answers if answer and grade_cheaply(fate.answer or "30", answer) == Verdict.EQUAL]
        assert len(right) >= len(answers) / 2


def test_most_samples_are_right_and_every_kind_is_among_the_first_four_of_some_problem() -> None:
    assert set(ORDER) == set(Sample)
    first = [kind for place in (0, 2, 3, 4, 5, 6, 8) for kind, _ in drawn(place)[:4]]
    assert set(first) == set(Sample), "the problems that no benchmark has"


@pytest.mark.parametrize("kind", [kind for kind in Sample if kind not in DEFECTIVE])
def test_a_whole_sample_has_reasoning_and_ends_in_one_box(kind: Sample) -> None:
    for worked, reply in of_kind(kind):
        parts = split_reasoning(reply.content, reply.reasoning)
        assert isinstance(parts, ReasonedReply)
        assert worked.idea in parts.reasoning
        assert parts.text.count("\\boxed") == 1
        same = grade_cheaply(worked.answer, box(reply) or "") == Verdict.EQUAL
        assert same is (kind is not Sample.WRONG)
        assert reply.finish_reason == "stop"


def test_servers_of_both_manners_are_played() -> None:
    for worked in worked_problems():
        replies = [solve(worked.problem, seed) for seed in SEEDS]
        assert any(reply.reasoning for reply in replies)
        assert any(reply.content.startswith("<think>") for reply in replies)


def test_a_cut_sample_ends_within_its_reasoning() -> None:
    for _, reply in of_kind(Sample.CUT):
        assert reply.finish_reason == "length"
        assert isinstance(split_reasoning(reply.content, reply.reasoning), Unreadable)


def test_a_looping_sample_is_found_out_and_a_right_one_is_not() -> None:
    for _, reply in of_kind(Sample.LOOPING):
        said = reply.reasoning or reply.content
        assert is_looping(said)
        assert box(reply)
    assert not any(is_looping(reply.reasoning + reply.content) for _, reply in of_kind(Sample.RIGHT))


def test_a_sample_without_a_box_has_a_text_all_the_same() -> None:
    for worked, reply in of_kind(Sample.UNBOXED):
        assert final_text(reply.content) == worked.steps.strip()
        assert box(reply) is None


def test_a_misplaced_sample_has_all_of_its_text_in_its_reasoning() -> None:
    for _, reply in of_kind(Sample.MISPLACED):
        assert reply.content == ""
        found = split_reasoning(reply.content, reply.reasoning)
        assert isinstance(found, Unreadable)
        assert found.reason == "unparsed_reply"


def test_a_problem_that_nobody_has_worked_is_not_solved() -> None:
    assert solve("How many sides has a cube?", 3) == Reply(UNSOLVED)


@given(POSTS, st.integers(-5, 2**70))
def test_any_text_is_answered_and_always_the_same(problem: str, seed: int) -> None:
    assert solve(problem, seed) == solve(problem, seed)
