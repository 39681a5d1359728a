"""Evidence on contamination: pairs of a problem and a benchmark's."""

from __future__ import annotations

import pyarrow as pa

from omr_kedro.tables.columns import BOOL, FLOAT, INT, PROBLEM_ID, TEXT, THREAD_ID, column

SIMILAR = pa.schema(
    [
        PROBLEM_ID,
        THREAD_ID,
        column(
            "rank", INT, "1 for the pair that is looked at first; equal benchmark statements share one", required=True
        ),
        column("found_by", TEXT, "`exact`, `lexical` or `embedding`, `ngram`, or several of them", required=True),
        column("score", FLOAT, "the retriever's score, comparable within one retriever; empty if it found other pairs"),
        column(
            "ngram_long",
            FLOAT,
            "share of the benchmark problem's 13-grams in ours (see `retrieval.ngrams`)",
            required=True,
        ),
        column("ngram_short", FLOAT, "share of the benchmark problem's 8-grams in ours", required=True),
        column("exact", BOOL, "equal after normalisation; needs no judge", required=True),
        column("benchmark", TEXT, "name of the benchmark", required=True),
        column("benchmark_id", TEXT, "id within the benchmark", required=True),
        column("benchmark_problem", TEXT, "statement of the benchmark problem", required=True),
    ]
)

CONTAMINATION = pa.schema(
    [
        *SIMILAR,
        column("verdict", TEXT, "`contaminated`, `clean`, or `unclear`", required=True),
        column("forward", TEXT, "verdict with our problem first; what was wrong with the reply, if it was unclear"),
        column("backward", TEXT, "verdict with the benchmark's first"),
        column("problem", TEXT, "our statement", required=True),
    ]
)

CONTAMINATION_REVIEW = pa.schema(
    [
        *CONTAMINATION,
        column("forward_reply", TEXT, "what the model said, or the error, with our problem first"),
        column("backward_reply", TEXT, "the same with the benchmark's first"),
    ]
)
