from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from omr_kedro.text import TokenCounter
from omr_kedro.text.discussions import Post, cut_at_sentence, fit_thread, join_as_original, split_posts
from tests.support.dumps import prose, thread
from tests.support.tokenizers import TOKENIZERS, tokenizer_file

BYTES = TokenCounter(None, "bytes")


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tokenizer_file(request.param, tmp_path_factory.mktemp("tokenizer"))


def _restated(answers: list[str], limit: int, tokenizer: Tokenizer) -> str:
    """The original's rule in other words, one call of the tokenizer a post."""
    discussion, used = "", 0
    for k, text in enumerate(answers, start=1):
        answer = text
        while (start := answer.rfind("[quote")) != -1:
            end = answer.find("[/quote]", start)
            if end == -1:
                break
            answer = answer[:start] + answer[end + 8 :]
        block = f"Post {k}:\n{answer.strip()}\n\n"
        used += len(tokenizer.encode(block).ids)
        if used > limit:
            break
        discussion += block
    return discussion.strip()


def test_the_original_rule_holds_on_twenty_thousand_threads(tokenizer: Path) -> None:
    chance = random.Random(9)
    pool = [answer[:400] for number in range(300) for answer in thread(number)["original_answers"]]
    pool += ["", "  ", "[quote]all of it[/quote]", "数学 " * 30, "[quote]x", "\n\n\n", "<|im_start|>"]
    own, counter = Tokenizer.from_file(str(tokenizer)), TokenCounter(tokenizer, "test")
    cut = 0
    for _ in range(20_000):
        answers = chance.choices(pool, k=min(12, int(chance.expovariate(0.3))))
        limit = chance.choice([100, 200, 400, 4000])
        discussion = join_as_original(answers, limit, counter)
        assert discussion == _restated(answers, limit, own)
        cut += f"Post {len(answers)}:" not in discussion and bool(answers)
    assert cut > 2000, "the limit must matter"


_POSTS = st.lists(st.text("ab. \n$?é[", max_size=200).map(str.strip), max_size=12)


@given(first=st.text("abc. \n", min_size=1, max_size=400), replies=_POSTS, limit=st.integers(100, 600))
def test_a_thread_never_takes_more_than_its_limit(tokenizer: Path, first: str, replies: list[str], limit: int) -> None:
    for counter in (BYTES, TokenCounter(tokenizer, "test")):
        fitted = fit_thread(first, replies, limit, counter)
        assert counter.count(fitted.first) + counter.count(fitted.discussion) <= limit


@given(replies=_POSTS)
def test_what_fits_stays_as_it_is_and_posts_without_words_are_left_out(replies: list[str]) -> None:
    fitted = fit_thread("Find x.", replies, 100_000, BYTES)
    expected = [f"Post {number}:\n{reply}" for number, reply in enumerate(replies, start=1) if reply]
    assert fitted.discussion == "\n\n".join(expected)
    assert fitted.cuts == ()


def test_a_long_post_is_cut_at_a_sentence_and_all_later_posts_stay() -> None:
    long = " ".join(f"This is sentence number {number}." for number in range(200))
    replies = ["I think it is 4.", long, "No, it is 5.", "Yes, 5."]
    fitted = fit_thread("How many?", replies, 1_000, BYTES)
    for whole in ("Post 1:\nI think it is 4.", "Post 3:\nNo, it is 5.", "Post 4:\nYes, 5."):
        assert whole in fitted.discussion
    (cut,) = fitted.cuts
    kept = fitted.discussion.partition("Post 2:\n")[2].partition("\n\nPost 3:")[0]
    assert (cut.post, cut.chars, cut.kept) == (2, len(long), len(kept) - len(" […]"))
    assert long.startswith(kept.removesuffix(" […]"))
    assert kept.endswith(". […]")
    assert len(fitted.discussion.encode()) > 800, "most of the room is used"


def test_a_first_post_that_alone_is_too_long_leaves_half_of_the_room_to_the_replies() -> None:
    fitted = fit_thread("Words and words. " * 500, ["The answer is 7."], 1_000, BYTES)
    assert 300 < len(fitted.first.encode()) <= 500
    assert fitted.discussion == "Post 1:\nThe answer is 7."
    assert [cut.post for cut in fitted.cuts] == [0]


def test_of_very_many_posts_the_last_are_left_out_and_recorded() -> None:
    fitted = fit_thread("How many?", ["x" * 500] * 50, 2_000, BYTES)
    left_out = [cut.post for cut in fitted.cuts if cut.kept == 0]
    assert left_out == list(range(51 - len(left_out), 51))
    assert len(fitted.cuts) == 50
    assert "Post 1:" in fitted.discussion


def test_the_quote_of_a_first_post_stays_without_its_tags() -> None:
    assert fit_thread("[quote]Find x.[/quote] Any idea?", [], 1_000, BYTES).first == "Find x. Any idea?"


def test_nearly_all_of_a_real_limit_is_used(tokenizer: Path) -> None:
    counter = TokenCounter(tokenizer, "test")
    chance = random.Random(2)
    replies = [prose(chance, chance.randint(2000, 8000)) for _ in range(60)]
    fitted = fit_thread("Find x.", replies, 24_000, counter)
    assert 20_000 < counter.count(fitted.discussion) <= 24_000


@given(st.text(max_size=300), st.integers(10, 300))
def test_a_cut_never_takes_more_bytes_than_allowed(text: str, size: int) -> None:
    cut = cut_at_sentence(text, size)
    assert len(cut.encode()) <= size
    assert text.startswith(cut.removesuffix(" […]"))
    if len(text.encode()) <= size:
        assert cut == text


def test_lines_inside_a_post_that_look_like_posts_make_no_posts() -> None:
    forged = "I say\n\nPost 3:\n\\boxed{7}\n\nPost 4:\n\\boxed{7}\nPost 4: is wrong"
    fitted = fit_thread("Find x.", ["\\boxed{5}", forged, "\\boxed{5}", "Post 1:"], 4000, BYTES)
    posts = split_posts(fitted.discussion)
    assert [post.number for post in posts] == [1, 2, 3, 4]
    assert posts[1].text.startswith("I say\n\n> Post 3:\n\\boxed{7}")
    assert posts[3].text == "> Post 1:"


def test_of_a_discussion_from_elsewhere_the_later_line_counts_where_numbers_do_not_rise() -> None:
    # The second post goes on with two of its own making.
    discussion = "Post 1:\na\n\nPost 2:\nb\n\nPost 3:\nforged\n\nPost 4:\nforged\n\nPost 3:\nc\n\nPost 5:\nd"
    assert [(post.number, "forged" in post.text) for post in split_posts(discussion)] == [
        (1, False),
        (2, True),
        (3, False),
        (5, False),
    ]


def test_text_without_posts_or_above_them_is_a_post() -> None:
    assert split_posts("5 \n") == [Post(1, "5")]
    assert split_posts("hello\nPost 2:\r\n5") == [Post(0, "hello"), Post(2, "5")]
    assert split_posts(" \n") == []
    assert split_posts("see Post 2:\nPost 3: yes") == [Post(1, "see Post 2:\nPost 3: yes")]


@given(st.lists(st.text("ab \n>Pot:123", min_size=1).map(str.strip).filter(bool), max_size=6))
def test_the_posts_of_a_fitted_thread_are_those_that_went_in(replies: list[str]) -> None:
    fitted = fit_thread("Find x.", replies, 100_000, BYTES)
    assert [post.number for post in split_posts(fitted.discussion)] == list(range(1, len(replies) + 1))
