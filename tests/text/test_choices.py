"""A choice is read as models write it, and never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.text import Unreadable
from omr_kedro.text.choices import parse_choice


@pytest.mark.parametrize(
    "reply",
    [
        "Judgment: 3",
        "judgement:3",
        "**Judgment:** [3]",
        "**Judgment: 3**",
        "Judgment: **3**.",
        "## Judgment\n\n3",
        "Final Judgment - Solution 3",
        "`Judgment: 3`",
        "Judgment: \\boxed{3}",
        "Judgment: $\\boxed{\\text{Solution 3}}$",
        "Judgment: <3>",
        "Judgment: #3",
        "Judgment: Candidate 3 (candidate 1 has the same answer, but a gap)",
        "Judgment: 3. Candidates 1 and 2 fail.",
        "The verdict is that candidate 3",
        "Best: Solution 3",
        "The best solution is Solution 3.",
        "My choice: candidate 3",
        "Candidate 1 errs.\n\n\\boxed{3}",
        "Candidate 1 errs.\n\nSo I choose $\\boxed{3}$.",
        "<think>Judgment: 1</think>Judgment: 3",
        "```\nJudgment: 3\n```",
        "Judgment: 1\n\nNo, I have overlooked the case n = 0.\n\nJudgment: 3",
        "They ask me for a line `Judgment: <number>`.\n\nJudgment: 3",
        "Candidate 2 writes Judgment: 2, which is no argument.\n\nJudgment: 3",
        "The best solution is candidate 1, or so it seems.\n\nJudgment: 3",
        "Judgment: 3\n\nThis judgment is based on 2 checks.",
    ],
)
def test_a_choice_as_models_write_it(reply: str) -> None:
    assert parse_choice(reply, 5) == 3


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Judgment: 6", "out_of_range"),
        ("Judgment: 0", "out_of_range"),
        ("Judgment: 123456789", "out_of_range"),
        ("Judgment: 3\nJudgment: 4", "contradictory"),
        ("Judgment: 3\n\nBest: Solution 4", "contradictory"),
        ("Judgment: 3\n\nJudgment: none of them", "unparsed"),
        ("Judgment: 3 or 4", "unparsed"),
        ("Judgment: Solutions 3 and 4", "unparsed"),
        ("Judgment: 3, 4", "unparsed"),
        ("Judgment: 3/4", "unparsed"),
        ("Judgment: 3.5", "unparsed"),
        ("Judgment: -3", "unparsed"),
        ("Judgment: three", "unparsed"),
        ("Judgment: 1234567890", "unparsed"),
        ("The third one is the best.", "unparsed"),
        ("Solution 3: right. Solution 4: wrong.", "unparsed"),
        ("So the answer is \\boxed{3}.", "unparsed"),
        ("Hence x = \\boxed{3}.", "unparsed"),
        ("I cannot help with that.", "refusal"),
        ("", "empty_reply"),
        ("<think>Judgment: 3", "empty_reply"),
    ],
)
def test_anything_else_is_no_choice(reply: str, reason: str) -> None:
    found = parse_choice(reply, 5)
    assert isinstance(found, Unreadable)
    assert found.reason == reason


def test_a_box_that_may_hold_the_answer_of_the_problem_is_no_choice_unless_its_line_says_so() -> None:
    assert parse_choice("\\boxed{3}", 5, answers=["4", "12"]) == 3
    assert isinstance(parse_choice("\\boxed{3}", 5, answers=["3", "12"]), Unreadable)
    assert parse_choice("The best candidate: $\\boxed{3}$", 5, answers=["3", "12"]) == 3


@given(st.text(), st.integers(1, 16))
def test_any_text_gives_a_number_in_range_or_a_reason(reply: str, count: int) -> None:
    found = parse_choice(reply, count)
    assert isinstance(found, Unreadable) or 1 <= found <= count


@given(st.text(alphabet="Judgment: best34solution is\n\\boxed{}[]*-,or", max_size=200), st.integers(1, 16))
def test_texts_that_look_like_choices_give_a_number_in_range_or_a_reason(reply: str, count: int) -> None:
    found = parse_choice(reply, count)
    assert isinstance(found, Unreadable) or 1 <= found <= count


@given(st.text(), st.integers(1, 16), st.data())
def test_whatever_stands_before_it_the_last_paragraph_decides(before: str, count: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(1, count))
    assert parse_choice(f"{before.replace('```', '')}\n\nJudgment: {number}", count) == number
