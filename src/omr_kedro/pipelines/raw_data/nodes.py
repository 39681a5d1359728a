"""A forum's dump becomes threads: readable records, reposts merged, quotes gone, within a number of tokens."""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from omr_kedro.shards import (
    MOST_SHARDS,
    BadInputError,
    MappedShards,
    Row,
    Shard,
    Shards,
    Source,
    SplitShards,
    map_parts,
    map_shards,
    shard_names,
    split_stream,
)
from omr_kedro.text import ForumThread, PreparationOptions, TokenCounter
from omr_kedro.text.near_duplicates import Document, Match, NearDuplicateOptions, near_duplicates
from omr_kedro.text.preparation import prepared_part, read_part, rejected_part

_REPORTED = 20


class RepostOptions(BaseModel):
    """Which threads count as one thread that was posted again, by their first posts."""

    model_config = ConfigDict(extra="forbid")

    find: bool = True
    """Whether to look for them; off, every thread is one of its own."""
    merge: bool = True
    """Whether the replies of a repost go to the first such thread and the repost is left out; off, both stay and the
    table of reposts only reports."""
    min_chars: int = Field(default=60, ge=1)
    """Shorter first posts ("see the picture") are alike and mean different things."""
    similarity: NearDuplicateOptions = NearDuplicateOptions()
    """When two first posts are almost the same."""


class RawDataOptions(BaseModel):
    """How a dump is prepared."""

    model_config = ConfigDict(extra="forbid")

    preparation: PreparationOptions = PreparationOptions()
    reposts: RepostOptions = RepostOptions()
    sample: int | None = Field(default=None, ge=1)
    """How many threads to keep, for trials: those with the smallest ids, so that a larger sample holds the smaller."""
    max_rejected_share: float = Field(default=0.01, ge=0, le=1)
    """Share of records that may be unreadable; beyond it the run stops."""
    shards: int = Field(default=64, ge=1, le=MOST_SHARDS)
    """In how many parts the dump is prepared: what a kill costs is one of them."""
    processes: int | None = Field(default=None, ge=1)
    """Parts prepared at once; all cores when it is not set."""

    @property
    def finds_reposts(self) -> bool:
        """The original's rule knows no reposts."""
        return self.reposts.find and self.preparation.rule == "fit"

    @property
    def workers(self) -> int:
        """Processes that prepare parts."""
        return self.processes or os.cpu_count() or 1


def check_records(dump: Source, options: RawDataOptions) -> MappedShards:
    """The records that hold no usable thread (`tables.REJECTED_RECORDS`).

    Raises:
        BadInputError: (when the table is made) they are more than `max_rejected_share`; lists them by file and line.
    """
    max_chars = options.preparation.max_post_chars
    make = partial(rejected_part, max_post_chars=max_chars)
    by = ["rejected", dump.digest(), max_chars]
    rejected = map_parts(make, dump.parts(options.shards), by=by, processes=options.workers)
    return replace(rejected, check=partial(_check_rejected, dump, options.max_rejected_share))


def find_reposts(dump: Source, options: RawDataOptions) -> tuple[SplitShards, SplitShards]:
    """Threads that were posted before, by their first posts; the first of them stands for all.

    Returns:
        The reposts (`tables.REPOSTS`), each in the part of the dump that it stands in; and the replies that they give
        away (`tables.REPOST_REPLIES`), each in the part of the thread that gets them.
    """
    by = [dump.digest(), options.finds_reposts, options.preparation.max_post_chars, options.reposts.model_dump()]
    # One search, for two tables that are written one after the other.
    search = cache(partial(_search_reposts, dump, options))
    return (
        split_stream(partial(_route_reposts, dump, options, search), options.shards, ["reposts", by]),
        split_stream(partial(_route_replies, dump, options, search), options.shards, ["replies", by]),
    )


def prepare_dump(
    dump: Source, reposts: Shards, replies: Shards, tokens: TokenCounter, options: RawDataOptions
) -> MappedShards:
    """All threads of the dump (`tables.FORUM_THREADS`)."""
    by = [dump.digest(), dump.origin, tokens.digest, options.preparation.model_dump(), options.reposts.merge]
    make = partial(
        prepared_part, dump=dump.origin, merge=options.reposts.merge, options=options.preparation, tokens=tokens
    )
    return map_parts(make, dump.parts(options.shards), reposts, replies, by=by, processes=options.workers)


def sample_threads(threads: Shards, options: RawDataOptions) -> MappedShards:
    """The threads to go on with: all, or the `sample` of them with the smallest ids (`tables.FORUM_THREADS`)."""
    last = None
    if options.sample is not None:
        last = max(heapq.nsmallest(options.sample, (row["thread_id"] for row in threads.rows())), default=None)
    return map_shards(partial(_up_to, last), threads, by=last)


def summarise_raw_data(
    rejected: Shards, reposts: Shards, prepared: Shards, threads: Shards, options: RawDataOptions
) -> pd.DataFrame:
    """Counts of the dump's records by their fate; columns `what`, `of_which`, `rows`."""
    merged = reposts.count if options.reposts.merge else 0
    return pd.DataFrame(
        [
            ("records", "", rejected.count + merged + prepared.count),
            ("records", "rejected", rejected.count),
            ("records", "reposts merged", merged),
            ("records", "prepared threads", prepared.count),
            *_counted("rejected", (row["reason"] for row in rejected.rows())),
            *_counted("reposts", (row["kind"] for row in reposts.rows())),
            ("prepared threads", "not in the sample", prepared.count - threads.count),
            ("prepared threads", "selected", threads.count),
            *_counted("selected", (trait for row in threads.rows() for trait in _traits(row))),
            *_counted("posts", (_fate(cut) for row in threads.rows() for cut in row["cuts"] or ())),
        ],
        columns=["what", "of_which", "rows"],
    )


def _counted(what: str, of_which: Iterable[str]) -> list[tuple[str, str, int]]:
    return [(what, name, count) for name, count in Counter(of_which).most_common()]


def _traits(thread: Row) -> Iterator[str]:
    if not thread["forum_discussions"]:
        yield "without replies"
    if thread["cuts"]:
        yield "with posts cut or left out"
    if thread["reposts"]:
        yield "with replies of reposts"


def _fate(cut: Row) -> str:
    return "cut" if cut["kept"] else "left out"


def _check_rejected(dump: Source, limit: float, rows: Iterator[Row]) -> None:
    rejected = [f"{row['source']}: {row['detail']}" for row in rows]
    total = dump.count()
    if not total:
        raise BadInputError(f"{dump.path} is empty: expected one JSON object a line, or Parquet rows.")
    if len(rejected) > limit * total:
        shown = "\n  ".join(rejected[:_REPORTED])
        more = f"\n  … and {len(rejected) - _REPORTED:,} more" if len(rejected) > _REPORTED else ""
        raise BadInputError(
            f"{len(rejected):,} of {total:,} records of {dump.path} hold no usable thread:\n  {shown}{more}\n"
            "Records must have the fields original_question and original_answers (a list of texts), or be topics as "
            "the crawler of DSL-Lab/aops writes them, or have forum_post and forum_replies. All of them stand in the "
            f"table raw_data_rejected. To go on without them: --params=raw_data.max_rejected_share=… (now {limit:g})."
        )


class _Repost(NamedTuple):
    thread: ForumThread
    where: str
    shard: str
    original: str
    original_shard: str
    match: Match


def _search_reposts(dump: Source, options: RawDataOptions) -> Mapping[str, Match]:
    if not options.finds_reposts:
        return {}
    documents = partial(_first_posts, dump, options)
    return near_duplicates(documents, options.reposts.similarity)


def _first_posts(dump: Source, options: RawDataOptions) -> Iterator[Document]:
    for number, (_, _, thread) in enumerate(_numbered(dump, options)):
        if len(thread.first) >= options.reposts.min_chars:
            # Numbers cost less memory than file names; the first in the dump stands for the others.
            yield Document(str(number), thread.first, rank=number)


def _numbered(dump: Source, options: RawDataOptions) -> Iterator[tuple[str, str, ForumThread]]:
    """Shard, place and content of each readable thread."""
    parts = dump.parts(options.shards)
    for shard_id, part in zip(shard_names(len(parts)), parts, strict=True):
        for where, thread in read_part(part, options.preparation.max_post_chars):
            if isinstance(thread, ForumThread):
                yield shard_id, where, thread


def _reposts(dump: Source, options: RawDataOptions, matches: Mapping[str, Match]) -> Iterator[_Repost]:
    if not matches:
        return
    originals = {match.representative for match in matches.values()}
    places: dict[str, tuple[str, str]] = {}
    for number, (shard_id, where, thread) in enumerate(_numbered(dump, options)):
        if str(number) in originals:
            places[str(number)] = (where, shard_id)
        if match := matches.get(str(number)):
            yield _Repost(thread, where, shard_id, *places[match.representative], match)


def _route_reposts(
    dump: Source, options: RawDataOptions, search: Callable[[], Mapping[str, Match]]
) -> Iterator[tuple[str, Row]]:
    for repost in _reposts(dump, options, search()):
        yield (
            repost.shard,
            {
                "source": repost.where,
                "original": repost.original,
                "kind": "exact" if repost.match.exact else "near",
                "similarity": repost.match.similarity,
                "forum_post": repost.thread.first,
            },
        )


def _route_replies(
    dump: Source, options: RawDataOptions, search: Callable[[], Mapping[str, Match]]
) -> Iterator[tuple[str, Row]]:
    if not options.reposts.merge:
        return
    for repost in _reposts(dump, options, search()):
        row = {"original": repost.original, "source": repost.where, "replies": list(repost.thread.replies)}
        yield repost.original_shard, row


def _up_to(last: str | None, threads: Shard) -> Iterator[Row]:
    return (row for row in threads.rows() if last is None or row["thread_id"] <= last)
