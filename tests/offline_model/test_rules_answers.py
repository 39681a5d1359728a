from __future__ import annotations

import pytest
from hypothesis import example, given

from omr_kedro.answers import parse_answer
from omr_kedro.offline_model.rules_answers import MISSING, extract_answer
from omr_kedro.text import Unreadable
from tests.offline_model.texts import POSTS

PROBLEM = "Find $x$ if $3x + 1 = 22$."


def answer(*replies: str, problem: str = PROBLEM, post: str = PROBLEM) -> str | Unreadable | None:
    discussion = "\n\n".join(f"Post {number}:\n{reply}" for number, reply in enumerate(replies, start=1))
    return parse_answer(extract_answer(problem, post, discussion))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Subtract and divide: $\\boxed{7}$.", "7"),
        ("The answer is 7 because $3x = 21$.", "7"),
        ("So the final answer is $\\frac{a}{2}$.", "\\frac{a}{2}"),
        ("Answer: $x = 7$", "7"),
        ("[hide]7[/hide]", "7"),
        ("[hide=click]$3x = 21$, so the answer is 7.[/hide]", "7"),
        ("$3x = 21$, $x = 7$", "7"),
        ("I get 7, same as you.", "7"),
        ("7", "7"),
        ("La respuesta es 7.", "7"),
        ("The answer is infinitely many.", "infinitely many"),
        ("$\\boxed{\\frac{1}{\\sqrt{2}}}$", "\\frac{1}{\\sqrt{2}}"),
        ("I first thought the answer is 8. But the answer is 7.", "7"),
    ],
)
def test_an_answer_is_found_however_a_post_gives_it(reply: str, expected: str) -> None:
    assert answer(reply) == expected


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "Nice problem!",
        "The answer is obvious.",
        "Why is the answer 7?",
        "[quote]The answer is 7.[/quote] How did you get that?",
        "Here $k = 4$ is useful, I found $k = 4$ by trying.",
        "\\boxed{7",
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(reply: str) -> None:
    assert answer(reply) is None


def test_nothing_is_found_where_nobody_replied() -> None:
    assert extract_answer(PROBLEM, PROBLEM, "").endswith(MISSING)


def test_most_posts_decide_and_the_reply_names_them() -> None:
    replies = ["The answer is 8.", "The answer is 7.", "$\\boxed{7}$"]
    discussion = "\n\n".join(f"Post {number}:\n{reply}" for number, reply in enumerate(replies, start=1))
    assert extract_answer(PROBLEM, PROBLEM, discussion) == (
        "Posts 2, 3 give the same value; Post 1 had another.\nAnswer: 7"
    )


def test_a_tie_goes_to_the_later_post_that_says_it_plainly() -> None:
    assert answer("The answer is 8.", "The answer is 7.") == "7"
    assert answer("The answer is 7.", "x = 9") == "7"


LIST = "1. Find (a, b) if a + b = 3 and a - b = 1.\n2. Compute 5!.\n3. Find the digit D with 9D = 36."


@pytest.mark.parametrize(
    ("number", "expected"),
    [("1", "(2,1)"), ("2", "120"), ("3", None)],
)
def test_in_a_list_replies_are_matched_by_number_or_by_what_they_name(number: str, expected: str | None) -> None:
    problems = {line[0]: line[3:] for line in LIST.splitlines()}
    replies = ["[hide](a,b) = (2,1)[/hide]", "[hide]\n2. The answer is 120.\n[/hide]", "The answer is 99."]
    assert answer(*replies, problem=problems[number], post=LIST) == expected


def test_a_post_that_says_none_answers_nothing() -> None:
    assert extract_answer("Find x.", "Find x.", "Post 1:\nNONE").splitlines()[-1] == MISSING


@given(POSTS, POSTS, POSTS)
@example("", "", "NONE")
def test_any_thread_gets_a_reply_that_can_be_read(problem: str, post: str, discussion: str) -> None:
    reply = extract_answer(problem, post, discussion)
    assert not isinstance(parse_answer(reply), Unreadable)
    assert reply.splitlines()[-1].startswith(("Answer: ", MISSING))


@pytest.mark.parametrize("bit", ["\\boxed{", "the answer is 5. ", "[hide]", "Post 1:\n5\n", "x = ", "$"])
def test_long_discussions_are_read_quickly(bit: str) -> None:
    text = bit * (300_000 // len(bit))
    assert extract_answer(PROBLEM, text, text)
