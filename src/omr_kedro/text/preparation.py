"""Records of a forum dump become threads: what a worker process does with its part of the dump."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from omr_kedro.shards import READING_CRASHED, Part, Record, Row, Shard, content_id, unless_crashed
from omr_kedro.text.discussions import Fitted, fit_thread, join_as_original
from omr_kedro.text.forum_dump import COLUMNS, ForumThread, UnreadableThreadError, read_forum_thread
from omr_kedro.text.old_macros import without_old_macros
from omr_kedro.text.tokens import TokenCounter

_TEXT_CHARS = 2_000


class PreparationOptions(BaseModel):
    """How posts become one text."""

    model_config = ConfigDict(extra="forbid")

    rule: Literal["fit", "original"] = "fit"
    """`fit` cuts the longest posts, and writes signs where the forum had macros (`old_macros`); `original` does exactly
    as OpenMathReasoning's script, for comparison: first posts as they are, unclosed quotes stop the removal of all
    before them, and the first post that does not fit is dropped with all after it."""
    max_tokens: int = Field(default=24_000, ge=100)
    """Of a thread (`fit`), or of its discussion (`original`). 24,000 is OpenMathReasoning's limit."""
    max_post_chars: int = Field(default=200_000, ge=1)
    """A thread with a longer post is rejected; posts are written by people, and this is a hundred pages."""
    problem_source: str | None = None
    """Written as the source of threads that name none."""


def read_part(part: Part, max_post_chars: int) -> Iterator[tuple[str, ForumThread | UnreadableThreadError]]:
    """Where each record stands, and its thread or what is wrong with it."""
    for record in part.records(COLUMNS):
        yield record.where, unless_crashed(_crashed, _read_record, record, max_post_chars)


def _read_record(record: Record, max_post_chars: int) -> ForumThread | UnreadableThreadError:
    if record.fields is None:
        return UnreadableThreadError("malformed", record.problem)
    try:
        return read_forum_thread(record.fields, max_post_chars)
    except UnreadableThreadError as error:
        return error


def _crashed(error: str) -> UnreadableThreadError:
    return UnreadableThreadError(READING_CRASHED, error)


def rejected_part(part: Part, max_post_chars: int) -> Iterator[Row]:
    """The records that hold no usable thread (`tables.REJECTED_RECORDS`)."""
    for where, thread in read_part(part, max_post_chars):
        if isinstance(thread, UnreadableThreadError):
            yield {"source": where, "reason": thread.reason, "detail": str(thread)[:_TEXT_CHARS]}


def prepared_part(
    part: Part,
    reposts: Shard,
    replies: Shard,
    *,
    dump: str,
    merge: bool,
    options: PreparationOptions,
    tokens: TokenCounter,
) -> Iterator[Row]:
    """The threads of a part (`tables.FORUM_THREADS`), in the order of the dump.

    `reposts` are threads of this part for which another one stands when they are merged, `replies` what threads of this
    part are given of their reposts, `dump` says where all of them come from.
    """
    left_out = {row["source"] for row in reposts.rows()} if merge else set()
    given = defaultdict(list)
    for row in replies.rows():
        given[row["original"]].append(row)
    for where, thread in read_part(part, options.max_post_chars):
        if isinstance(thread, ForumThread) and where not in left_out:
            yield {"dump": dump, **prepared_thread(thread, where, given.get(where, ()), options, tokens)}


def prepared_thread(
    thread: ForumThread, where: str, reposts: Sequence[Row], options: PreparationOptions, tokens: TokenCounter
) -> Row:
    """A row of `tables.FORUM_THREADS` but for `dump`; `reposts` are the rows of `tables.REPOST_REPLIES` for it."""
    replies = _together(thread.replies, [reply for repost in reposts for reply in repost["replies"]])
    if options.rule == "original":
        fitted = Fitted(thread.first, join_as_original(replies, options.max_tokens, tokens))
    else:
        first, *replies = map(without_old_macros, (thread.first, *replies))
        fitted = fit_thread(first, replies, options.max_tokens, tokens)
    return {
        "thread_id": content_id(fitted.first, fitted.discussion),
        "forum_post": fitted.first,
        "forum_discussions": fitted.discussion,
        "problem_source": thread.source or options.problem_source,
        "post_dates": list(thread.dates) or None,
        "replies": len(replies),
        "cuts": [{"post": cut.post, "chars": cut.chars, "kept": cut.kept} for cut in fitted.cuts] or None,
        "source": where,
        "topic": thread.topic,
        "reposts": [repost["source"] for repost in reposts] or None,
    }


def _together(replies: Sequence[str], more: Sequence[str]) -> Sequence[str]:
    """The replies of a thread and its reposts, each once."""
    if not more:
        return replies
    known = {reply.strip() for reply in replies}
    together = list(replies)
    for reply in more:
        if reply.strip() not in known:
            known.add(reply.strip())
            together.append(reply)
    return together
