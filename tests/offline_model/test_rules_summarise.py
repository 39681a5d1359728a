from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.answers import grade_cheaply
from omr_kedro.llm.calls import Completion
from omr_kedro.offline_model.replies import Reply
from omr_kedro.offline_model.rules_summarise import summarise
from omr_kedro.offline_model.tokenizer import count
from omr_kedro.solutions.summaries import Summary, answer_stated, chosen, read_summary
from tests.offline_model.texts import POSTS

STEPS = "First we add: $2 + 3 = 5$.\n\nThen we double, which gives $10$."
SOLUTION = f"<think>\nadd, double \\boxed{{7}}\n</think>\n\n{STEPS}\n\nThe answer is $\\boxed{{10}}$."


def summaries(solution: str) -> list[str]:
    return [summarise("Double the sum of 2 and 3.", solution, seed).content for seed in range(4)]


def read(reply: str) -> Summary:
    completion = Completion("key", "model", reply, finish_reason="stop")
    return read_summary(
        completion, lambda text: answer_stated(text, lambda answer: grade_cheaply("10", answer) == "equal"), count
    )


def test_of_four_seeds_two_end_in_the_answer_of_the_solution_one_in_another_and_one_in_none() -> None:
    flaws = sorted(str(read(summary).flaw) for summary in summaries(SOLUTION))
    assert flaws == ["None", "None", "no_answer", "other_answer"]


def test_the_longest_one_that_is_kept_holds_the_steps_and_no_reasoning() -> None:
    drawn = [read(summary) for summary in summaries(SOLUTION)]
    place = chosen(drawn)
    assert place is not None
    assert drawn[place].text == f"{STEPS}\n\nSo the answer is $\\boxed{{10}}$."


def test_marks_that_a_prompt_has_set_apart_are_read_all_the_same() -> None:
    apart = SOLUTION.replace("<think>", "< think>").replace("</think>", "< /think>")
    assert all("add, double" not in summary for summary in summaries(apart))


def test_a_solution_without_a_box_is_summed_up_without_one() -> None:
    assert summaries(STEPS) == [STEPS] * 4


@given(POSTS, POSTS, st.integers(-5, 2**70))
def test_any_text_is_summed_up_and_always_in_the_same_way(problem: str, solution: str, seed: int) -> None:
    assert isinstance(summarise(problem, solution, seed), Reply)
    assert summarise(problem, solution, seed) == summarise(problem, solution, seed)
