"""Threads as forum dumps write them: a record of somebody's file becomes posts in their order.

Three shapes are known, told apart by their fields:

- `original_question`, `original_answers`, `metadata`: the dataset AoPS-Instruct on the Hugging Face hub, configuration
  `2024_not_decontaminated` (its card lists the fields), and local files of the same columns;
- `response.response.posts[].post_canonical`: one topic a line, as the crawler of github.com/DSL-Lab/aops writes;
- `forum_post`, `forum_replies`: for those who bring another forum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from omr_kedro.shards import Row, printable_name

COLUMNS = (
    "original_question",
    "original_answers",
    "metadata.question_metadata.post_date",
    "metadata.answers_metadata.list.element.answer_date",
    "forum_post",
    "forum_replies",
    "problem_source",
    "post_date",
    "response",
)
"""The columns that are read of Parquet files; the rest (rewritten texts, names of users) is never loaded."""

_LONGEST_DATE = 100
# The names that OpenMathReasoning publishes for the forums it took (its column `problem_source`).
_FORUMS = {
    "4": "aops_c4_high_school_math",
    "5": "aops_c5_contests_amp_programs",
    "6": "aops_c6_high_school_olympiads",
    "7": "aops_c7_college_math",
}


@dataclass(frozen=True, slots=True)
class ForumThread:
    """Posts as their authors wrote them."""

    first: str
    replies: tuple[str, ...]
    dates: tuple[str | None, ...] = ()
    """When each post was written, the first post's first, as the source says; empty where it says nothing."""
    source: str | None = None
    """Forum or collection."""
    topic: str | None = None
    """The thread's number or address at the source."""


class UnreadableThreadError(ValueError):
    """A fault of a record; `reason` is a short name to group by."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def read_forum_thread(fields: Row, max_post_chars: int) -> ForumThread:
    """The thread that a record holds.

    Raises:
        UnreadableThreadError: it holds none, or a post that cannot be used. A thread with one such post is not read
            in part: which of its posts belong together, only its source knows.
    """
    read = next((read for field, read in _SHAPES.items() if field in fields), None)
    if read is None:
        names = ", ".join(printable_name(name) for name in sorted(fields)[:8])
        raise UnreadableThreadError("missing_column", f"none of {', '.join(_SHAPES)} is among its fields ({names})")
    thread = read(fields)
    for number, post in enumerate((thread.first, *thread.replies)):
        usable = isinstance(post, str) and len(post) <= max_post_chars and "\x00" not in post
        if not (usable and (number or post.strip())):
            raise _unusable(post, f"post {number}" if number else "the first post", max_post_chars)
    return thread


def _unusable(post: Any, what: str, max_chars: int) -> UnreadableThreadError:
    if post is None:
        return UnreadableThreadError("null_post", f"{what} is null")
    if not isinstance(post, str):
        return UnreadableThreadError("post_is_no_text", f"{what} is a {type(post).__name__}, not text")
    if len(post) > max_chars:
        return UnreadableThreadError(
            "post_too_long", f"{what} has {len(post):,} characters, more than the {max_chars:,} allowed"
        )
    if "\x00" in post:
        return UnreadableThreadError("nul_character", f"{what} holds a NUL character")
    return UnreadableThreadError("empty_post", f"{what} is empty")


def _read_instruct(fields: Row) -> ForumThread:
    replies = _list(fields, "original_answers")
    metadata = _optional(fields, "metadata")
    asked = _optional(metadata, "question_metadata").get("post_date")
    answers = metadata.get("answers_metadata")
    answered = [
        answer.get("answer_date") if isinstance(answer, dict) else None
        for answer in (answers if isinstance(answers, list) else [])
    ]
    return ForumThread(
        fields["original_question"], replies, _dates([asked, *answered]), _label(fields.get("problem_source"))
    )


def _read_plain(fields: Row) -> ForumThread:
    dates = _dates([fields.get("post_date")])
    return ForumThread(
        fields["forum_post"], _list(fields, "forum_replies"), dates, _label(fields.get("problem_source"))
    )


def _read_topic(fields: Row) -> ForumThread:
    response = _mapping(fields, "response")
    if "error_code" in response:
        raise UnreadableThreadError(
            "crawl_error", f"the forum answered the crawler with {_label(response['error_code'])}"
        )
    topic = _mapping(response, "response")
    posts = _list(topic, "posts")
    if not posts:
        raise UnreadableThreadError("empty_thread", "the topic holds no post")
    texts = [post.get("post_canonical") if isinstance(post, dict) else post for post in posts]
    dates = [_moment(post.get("post_time")) if isinstance(post, dict) else None for post in posts]
    settings = _optional(topic, "new_topic_settings")
    category = _label(settings.get("category_id"))
    return ForumThread(
        first=texts[0],  # type: ignore[arg-type]  # checked with all posts
        replies=tuple(texts[1:]),  # type: ignore[arg-type]
        dates=_dates(dates),
        source=_FORUMS.get(category, f"aops_c{category}") if category else None,
        topic=_label(settings.get("topic_id")) or _label(fields.get("topic_id")),
    )


_SHAPES: dict[str, Callable[[Row], ForumThread]] = {
    "original_question": _read_instruct,
    "response": _read_topic,
    "forum_post": _read_plain,
}


def _list(fields: Row, name: str) -> tuple[Any, ...]:
    if name not in fields:
        raise UnreadableThreadError("missing_column", f"the field '{name}' is missing")
    value = fields[name]
    if not isinstance(value, list):
        raise UnreadableThreadError("posts_are_no_list", f"'{name}' is a {type(value).__name__}, not a list of posts")
    return tuple(value)


def _mapping(fields: Row, name: str) -> Row:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise UnreadableThreadError("missing_column", f"the field '{name}' is missing or no object")
    return value


def _optional(fields: Row, name: str) -> Row:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _label(value: Any) -> str | None:
    """A name or a number that the source gives; None where it gives none, or something else."""
    known = isinstance(value, str | int) and not isinstance(value, bool)
    return printable_name(value) if known and value != "" else None


def _dates(dates: list[Any]) -> tuple[str | None, ...]:
    return tuple(map(_date, dates)) if any(dates) else ()


def _date(value: Any) -> str | None:
    if isinstance(value, str):
        return value[:_LONGEST_DATE]
    return str(value) if isinstance(value, int | float | date) else None


def _moment(seconds: Any) -> str | None:
    """Seconds since 1970, as the forum counts, in ISO 8601."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return None
