from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.shards import Source
from omr_kedro.text import ForumThread, preparation
from omr_kedro.text.forum_dump import UnreadableThreadError, read_forum_thread
from omr_kedro.text.preparation import read_part, rejected_part

INSTRUCT = {
    "original_question": "Find x.",
    "original_answers": ["1", "2"],
    "rewritten_question": "not read",
    "metadata": {
        "question_metadata": {"post_date": "2019-05-01"},
        "answers_metadata": [{"answer_date": "2019-05-02"}, {"answer_date": None}],
    },
}
TOPIC = {
    "topic_id": 77,
    "response": {
        "response": {
            "posts": [
                {"post_number": 1, "post_canonical": "Find x.", "post_time": 1_000_000_000},
                {"post_number": 2, "post_canonical": "x=1", "post_time": "1000000060"},
            ],
            "new_topic_settings": {"topic_id": 77, "category_id": 6},
        }
    },
}


def test_rows_of_the_published_dataset_are_read() -> None:
    assert read_forum_thread(INSTRUCT, 100) == ForumThread("Find x.", ("1", "2"), ("2019-05-01", "2019-05-02", None))


def test_topics_of_the_crawler_are_read_with_forum_number_and_times() -> None:
    assert read_forum_thread(TOPIC, 100) == ForumThread(
        "Find x.",
        ("x=1",),
        ("2001-09-09T01:46:40Z", "2001-09-09T01:47:40Z"),
        "aops_c6_high_school_olympiads",
        "77",
    )


def test_another_forum_brings_its_own_fields() -> None:
    fields = {"forum_post": "Find x.", "forum_replies": ["1"], "problem_source": "my_forum", "post_date": "2020"}
    assert read_forum_thread(fields, 100) == ForumThread("Find x.", ("1",), ("2020",), "my_forum")


def test_dates_and_sources_may_be_missing_or_nonsense() -> None:
    for metadata in (None, "text", {"question_metadata": 3}, {"answers_metadata": [None]}):
        assert read_forum_thread({**INSTRUCT, "metadata": metadata}, 100).dates == ()


def test_names_and_dates_that_are_no_texts_are_no_reason_to_stop() -> None:
    topic = {
        "response": {"response": {"posts": ["Find x."], "new_topic_settings": {"category_id": [6], "topic_id": {}}}}
    }
    assert read_forum_thread(topic, 100) == ForumThread("Find x.", ())
    plain = {"forum_post": "Find x.", "forum_replies": [], "problem_source": ["a"], "post_date": {"a": 1}}
    assert read_forum_thread(plain, 100) == ForumThread("Find x.", (), (None,))
    named = read_forum_thread({**plain, "problem_source": "a\x1b[2J" + "b" * 1000}, 100)
    assert named.source is not None
    assert named.source.startswith("a\\x1b[2Jb")
    assert len(named.source) < 210


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"title\x1b": "no thread"}, "missing_column"),
        ({"original_question": "Find x."}, "missing_column"),
        ({**INSTRUCT, "original_question": None}, "null_post"),
        ({**INSTRUCT, "original_question": 5}, "post_is_no_text"),
        ({**INSTRUCT, "original_question": " \n"}, "empty_post"),
        ({**INSTRUCT, "original_answers": "text"}, "posts_are_no_list"),
        ({**INSTRUCT, "original_answers": ["1", None]}, "null_post"),
        ({**INSTRUCT, "original_answers": ["1", b"2"]}, "post_is_no_text"),
        ({**INSTRUCT, "original_answers": ["1", "2" * 101]}, "post_too_long"),
        ({**INSTRUCT, "original_answers": ["\x00"]}, "nul_character"),
        ({"response": {"error_code": "E_NO_PERMISSION"}}, "crawl_error"),
        ({"response": {"response": {"posts": []}}}, "empty_thread"),
        ({"response": {"response": {"posts": [{"post_number": 1}]}}}, "null_post"),
        ({"response": None}, "missing_column"),
    ],
)
def test_what_cannot_be_used_says_why(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnreadableThreadError) as refused:
        read_forum_thread(fields, 100)
    assert refused.value.reason == reason
    assert str(refused.value)
    assert "\x1b" not in str(refused.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*INSTRUCT, "response", "posts"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*INSTRUCT, *TOPIC, "forum_post", "forum_replies", "other"]), _JSON))
def test_any_record_is_a_thread_of_texts_or_says_why_not(fields: dict[str, Any]) -> None:
    try:
        thread = read_forum_thread(fields, 100)
    except UnreadableThreadError:
        return
    assert all(isinstance(post, str) for post in (thread.first, *thread.replies))


def test_a_record_that_crashes_its_reader_is_rejected_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fragile(fields: dict[str, Any], max_post_chars: int) -> ForumThread:
        if fields["forum_post"] == "b":
            raise ZeroDivisionError
        return read_forum_thread(fields, max_post_chars)

    monkeypatch.setattr(preparation, "read_forum_thread", fragile)
    dump = tmp_path / "dump.jsonl"
    dump.write_text("".join(f'{{"forum_post": "{post}", "forum_replies": []}}\n' for post in "abc"))
    (part,) = Source(dump).parts(1)
    assert [thread.first for _, thread in read_part(part, 100) if isinstance(thread, ForumThread)] == ["a", "c"]
    (row,) = rejected_part(part, 100)
    assert (row["source"], row["reason"]) == ("dump.jsonl:2", "reading_crashed")
    assert row["detail"].startswith("ZeroDivisionError (")
