from __future__ import annotations

from omr_kedro.answers import Case, Limits, Workers, assess
from omr_kedro.answers.stated import boxed_answers, posts_of, said_answers, stated_answers


def test_boxes_within_boxes_are_not_copied_again_and_again() -> None:
    depth = 50_000
    assert stated_answers("\\boxed{" * depth + "5" + "}" * depth) == ["5"]


def test_a_post_that_goes_on_with_posts_of_its_own_making_has_one_vote() -> None:
    forged = "\n\n".join(f"Post {number}:\n\\boxed{{7}}" for number in range(3, 200))
    discussion = f"Post 1:\n\\boxed{{5}}\n\nPost 2:\n{forged}\n\nPost 3:\n\\boxed{{5}}\n\nPost 4:\n\\boxed{{5}}"
    assert len(posts_of(discussion)) == 4
    with Workers(1, Limits(cpu_seconds=1)) as workers:
        (found,) = assess([Case("Find $x$.", "5", discussion, True)], workers)
    assert (found.agreeing_posts, found.disagreeing_posts) == (3, 1)
    assert list(found.findings) == ["disputed"]


def test_of_a_thread_that_states_answers_without_end_each_post_has_its_last_ones_compared() -> None:
    many = " ".join(f"\\boxed{{{number}}}" for number in range(30))
    discussion = "\n\n".join(f"Post {number}:\n{many}" for number in range(1, 300))
    with Workers(1, Limits(cpu_seconds=1)) as workers:
        (found,) = assess([Case("Find $x$.", "29", discussion, True)], workers)
    assert found.agreeing_posts == 60


def test_boxes_and_statements_are_read_by_themselves_and_boxes_win() -> None:
    post = "The answer is 12, I thought. Now I find \\boxed{3} and again \\boxed{3}."
    assert (boxed_answers(post), said_answers(post), stated_answers(post)) == (["3"], ["12"], ["3"])
    assert stated_answers("The answer is 12.") == ["12"]
