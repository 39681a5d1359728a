"""Evidence on copies."""

from __future__ import annotations

import pyarrow as pa

from omr_kedro.tables.columns import BOOL, FLOAT, INT, PROBLEM_ID, TEXT, THREAD_ID, column

DUPLICATES = pa.schema(
    [
        PROBLEM_ID,
        THREAD_ID,
        column("representative_id", TEXT, "the problem that stays; names the cluster", required=True),
        column("is_representative", BOOL, "whether this is the one that stays", required=True),
        column(
            "kind",
            TEXT,
            "`exact`: equals the representative but for dress; `near`; empty for the representative itself",
        ),
        column("similarity", FLOAT, "Jaccard index of its shingles with the representative's", required=True),
        column("copies", INT, "other problems of the cluster", required=True),
        column(
            "same_answers", INT, "how many of them have the same text as their answer, but for dress", required=True
        ),
        column("other_answers", INT, "how many of them have another answer", required=True),
        column("expected_answer", TEXT, "its own answer; empty when none was found"),
        column("discussion_chars", INT, "characters of its thread's discussion", required=True),
        column("problem", TEXT, "its statement", required=True),
    ]
)
