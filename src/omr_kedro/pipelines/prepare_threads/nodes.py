"""Records of a file become threads with an identity, in the shard that everything derived from them stays in."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from itertools import islice
from math import ceil

import orjson
from pydantic import BaseModel, ConfigDict, Field

from omr_kedro.pipelines.llm_stage import Dropped, Failed, crashed, not_kept_row
from omr_kedro.shards import (
    MOST_SHARDS,
    BadInputError,
    Record,
    Row,
    Source,
    SplitShards,
    checked_text,
    content_id,
    shard_of,
    split_stream,
    unless_crashed,
)
from omr_kedro.text.discussions import join_posts
from omr_kedro.text.old_macros import without_old_macros

logger = logging.getLogger(__name__)

_STAGE = "prepare_threads"
_REPORTED = 20
_THREADS = 100
_FEWEST, _MOST = 4, 512
_CROWDED = 10_000
"""Threads of a shard that are worth a word."""


class ThreadFields(BaseModel):
    """The names that the input has for the parts of a thread."""

    model_config = ConfigDict(extra="forbid")

    forum_post: str = "forum_post"
    """Text of the first post."""
    forum_discussions: str = "forum_discussions"
    """The later posts: a text with lines `Post k:`, or a list of texts. May be missing."""
    problem_source: str = "problem_source"
    """Forum or collection. May be missing."""
    title: str | None = None
    """Text that is written above the first post, where the input has one."""

    @property
    def known(self) -> set[str | None]:
        """All that is not kept as it is.

        An id that comes with a thread (as from `raw_data`) is made of the same content again.
        """
        return {self.forum_post, self.forum_discussions, self.problem_source, self.title, "thread_id"}


_AS_OURS = ThreadFields()


class ThreadOptions(BaseModel):
    """How threads are split, and what input is refused."""

    model_config = ConfigDict(extra="forbid")

    shards: int | None = Field(default=None, ge=1, le=MOST_SHARDS)
    """Number of shards of every table; None for one that fits the number of threads, see `fitting_shards`."""
    max_post_chars: int = Field(default=200_000, ge=1)
    """Longer posts fit no model's context; a discussion may have as many."""
    max_rejected_share: float = Field(default=0.0, ge=0, le=1)
    """Share of records that may be unusable; beyond it the run stops before anything is paid for."""
    fields: ThreadFields = _AS_OURS
    """Names of the input's fields."""


def fitting_shards(records: int) -> int:
    """Number of shards for so many threads: one for each hundred, few for few, and 512 for a corpus.

    550,000 threads come to about a thousand in each: minutes of work for a model server.
    """
    return min(_MOST, max(_FEWEST, ceil(records / _THREADS)))


def prepare_threads(raw: Source, options: ThreadOptions, written: int = 0) -> tuple[SplitShards, SplitShards]:
    """Split records into usable threads and the rest.

    Equal threads fall into one shard by their id; the first is kept, the others are dropped as duplicates of it.

    Args:
        raw: the records.
        options: how they are split.
        written: number of shards that the workspace has, which it keeps; 0 where it has none yet.

    Returns:
        The records that are not kept (`tables.DROPPED`), and the threads (`tables.THREADS`).

    Raises:
        BadInputError: (when the first table is made) too many records are unusable; lists them by file and line.
    """
    shards = options.shards or written or fitting_shards(sum(1 for _ in islice(raw.records(), _MOST * _THREADS)))
    by = [raw.digest(), options.model_copy(update={"shards": shards}).model_dump()]
    not_kept = split_stream(partial(_route_rejects, raw, options, shards), shards, [by, "not kept"], tidy=_later_copies)
    threads = split_stream(partial(_route_threads, raw, options, shards), shards, by, tidy=_first_copies)
    return not_kept, threads


def _route_threads(raw: Source, options: ThreadOptions, shards: int) -> Iterator[tuple[str, Row]]:
    for record in raw.records():
        thread = unless_crashed(crashed, read_thread, record, options.max_post_chars, options.fields)
        if not isinstance(thread, Failed):
            yield shard_of(thread["thread_id"], shards), thread


def _route_rejects(raw: Source, options: ThreadOptions, shards: int) -> Iterator[tuple[str, Row]]:
    rejected: list[str] = []
    total = 0
    for total, record in enumerate(raw.records(), start=1):  # noqa: B007 (the last number is the total)
        thread = unless_crashed(crashed, read_thread, record, options.max_post_chars, options.fields)
        if isinstance(thread, Failed):
            rejected += [f"{record.where}: {thread.detail}"] if len(rejected) < _REPORTED else [""]
            row_id = content_id(record.where)
            yield (
                shard_of(row_id, shards),
                {"failed": not_kept_row(_STAGE, row_id, record.fields or {}, thread)},
            )
        else:
            # Which copy comes first is known only in the shard.
            yield shard_of(thread["thread_id"], shards), thread
    if len(rejected) > options.max_rejected_share * total:
        raise BadInputError(_report(raw, rejected, total, options))
    if total > shards * _CROWDED:
        logger.warning(
            "%d threads in %d shards: a shard is what memory must hold, and what a kill may lose. A new `workspace` in "
            "globals.yml chooses a number that fits.",
            total,
            shards,
        )


def _report(raw: Source, rejected: list[str], total: int, options: ThreadOptions) -> str:
    shown = "\n  ".join(line for line in rejected if line)
    more = f"\n  … and {len(rejected) - _REPORTED:,} more" if len(rejected) > _REPORTED else ""
    return (
        f"{len(rejected):,} of {total:,} records of {raw.path} cannot be used:\n  {shown}{more}\n"
        f"Each line must be a JSON object with the text field '{options.fields.forum_post}' and, if any, "
        f"'{options.fields.forum_discussions}'. Fields may have other names: "
        "--params=prepare_threads.fields.forum_post=NAME (docs/your-own-project.md). Mend them, or go on without them "
        f"by --params=prepare_threads.max_rejected_share=0.1 (now {options.max_rejected_share:g}); "
        "they are then listed in the table threads_dropped. Nothing was asked or paid for."
    )


def read_thread(record: Record, max_post_chars: int, names: ThreadFields = _AS_OURS) -> Row | Failed:
    """A thread from a record, or why it is none."""
    if record.fields is None:
        return Failed("malformed", record.problem)
    check = partial(checked_text, record.fields, max_chars=max_post_chars)
    post, wrong_post = check(names.forum_post, required=True)
    title, wrong_title = check(names.title, required=False) if names.title else ("", "")
    discussion, wrong_discussion = _discussion(record.fields, names.forum_discussions, max_post_chars)
    origin, wrong_origin = check(names.problem_source, required=False)
    if wrong := wrong_post or wrong_title or wrong_discussion or wrong_origin:
        return Failed("unusable_field", wrong)
    if title.strip():
        post = f"{title.strip()}\n\n{post}"
    post, discussion = without_old_macros(post), without_old_macros(discussion)
    extra = {name: value for name, value in record.fields.items() if name not in names.known}
    return {
        "thread_id": content_id(post, discussion),
        "forum_post": post,
        "forum_discussions": discussion,
        "problem_source": origin or None,
        "source": record.where,
        "extra": orjson.dumps(extra, default=str).decode() if extra else None,
    }


def _discussion(fields: Row, name: str, max_chars: int) -> tuple[str, str]:
    """The later posts of a record, and what is wrong with them."""
    posts = fields.get(name)
    if not isinstance(posts, list):
        return checked_text(fields, name, required=False, max_chars=max_chars)
    if not all(isinstance(post, str) for post in posts):
        return "", f"the field '{name}' must be text or a list of texts"
    return checked_text({name: join_posts(posts)}, name, required=False, max_chars=max_chars)


def _first_copies(rows: Iterator[Row]) -> Iterator[Row]:
    seen = set[str]()
    for row in rows:
        if row["thread_id"] not in seen:
            seen.add(row["thread_id"])
            yield row


def _later_copies(rows: Iterator[Row]) -> Iterator[Row]:
    first = dict[str, str]()
    for row in rows:
        if "failed" in row:
            yield row["failed"]
        elif (original := first.setdefault(row["thread_id"], row["source"])) != row["source"]:
            duplicate = Dropped("duplicate_thread", f"{row['source']} equals {original}")
            yield not_kept_row(_STAGE, content_id(row["source"]), row, duplicate)
