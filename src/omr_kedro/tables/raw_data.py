"""Tables of the pipeline `raw_data`: a forum's dump on its way to threads."""

from __future__ import annotations

import pyarrow as pa

from omr_kedro.tables.columns import FLOAT, INT, TEXT, column

_CUT = pa.struct([("post", INT), ("chars", INT), ("kept", INT)])

REJECTED_RECORDS = pa.schema(
    [
        column("source", TEXT, "file and line or row of the dump", required=True),
        column("reason", TEXT, "short name to group by", required=True),
        column("detail", TEXT, "what is wrong, in a sentence", required=True),
    ]
)

REPOSTS = pa.schema(
    [
        column("source", TEXT, "file and line or row of the thread that was posted before", required=True),
        column("original", TEXT, "where the thread stands that stands for it: the first of them", required=True),
        column("kind", TEXT, "`exact`: first posts equal but for dress; `near`: almost", required=True),
        column("similarity", FLOAT, "Jaccard index of the first posts' shingles", required=True),
        column("forum_post", TEXT, "the first post", required=True),
    ]
)

REPOST_REPLIES = pa.schema(
    [
        column("original", TEXT, "where the thread stands that the replies are given to", required=True),
        column("source", TEXT, "where the thread stands that they were written in", required=True),
        column("replies", pa.list_(TEXT), "the replies, as they were written", required=True),
    ]
)

FORUM_THREADS = pa.schema(
    [
        column("thread_id", TEXT, "content id of the thread (first post and discussion)", required=True),
        column("forum_post", TEXT, "the first post", required=True),
        column("forum_discussions", TEXT, "the later posts without quotes, each under `Post k:`", required=True),
        column("problem_source", TEXT, "forum or collection, where the dump names it"),
        column("post_dates", pa.list_(TEXT), "when each post was written, the first post's first, as the dump says"),
        column("replies", INT, "posts after the first, before any was cut or left out", required=True),
        column("cuts", pa.list_(_CUT), "posts that were cut or left out: number, characters it had, and kept"),
        column("dump", TEXT, "repository and commit of the dump, or name and digest of its files", required=True),
        column("source", TEXT, "file and line or row of the dump", required=True),
        column("topic", TEXT, "the thread's number at its forum, where the dump names it"),
        column("reposts", pa.list_(TEXT), "where the other threads stand whose replies it was given"),
    ]
)
