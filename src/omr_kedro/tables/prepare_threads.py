"""The table of threads that problems are made of."""

from __future__ import annotations

import pyarrow as pa

from omr_kedro.tables.columns import TEXT, THREAD_ID, column

THREADS = pa.schema(
    [
        THREAD_ID,
        column("forum_post", TEXT, "the first post", required=True),
        column("forum_discussions", TEXT, "the later posts, each under a line `Post k:`; may be empty", required=True),
        column("problem_source", TEXT, "forum or collection that the thread comes from"),
        column("source", TEXT, "file and line that the thread was read from", required=True),
        column("extra", TEXT, "all other fields of the input, as JSON"),
    ]
)
