"""The table of problems, at every step on its way."""

from __future__ import annotations

import pyarrow as pa

from omr_kedro.tables.columns import INT, PROBLEM_ID, TEXT, THREAD_ID, column

PROBLEMS = pa.schema(
    [
        PROBLEM_ID,
        THREAD_ID,
        column("problem", TEXT, "the statement", required=True),
        column("expected_answer", TEXT, "answer found in the discussion; empty when none was found"),
        column(
            "problem_type",
            TEXT,
            "`has_answer_extracted`, `no_answer_extracted` or `converted_proof`; filled by merging",
        ),
        column("problem_source", TEXT, "forum or collection that the thread comes from"),
        column("extracted_problem_idx", INT, "place of the problem in its post, from 0"),
        column("original_problem", TEXT, "the proof that was converted"),
        column("original_problem_id", TEXT, "problem id of the proof that was converted"),
        column("model", TEXT, "model that wrote the statement", required=True),
        column("answer_model", TEXT, "model that read the discussion for the answer"),
    ]
)
