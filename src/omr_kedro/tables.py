"""The columns of every sharded table: name, type, and meaning. Non-nullable columns are always filled."""

from __future__ import annotations

import pyarrow as pa


def _column(name: str, kind: pa.DataType, meaning: str, *, required: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=not required, metadata={"meaning": meaning})


_TEXT, _INT, _FLOAT, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()

_THREAD_ID = _column("thread_id", _TEXT, "content id of the thread (first post and discussion)", required=True)
_PROBLEM_ID = _column("problem_id", _TEXT, "content id of the thread and the statement", required=True)

_CUT = pa.struct([("post", _INT), ("chars", _INT), ("kept", _INT)])

REJECTED_RECORDS = pa.schema(
    [
        _column("source", _TEXT, "file and line or row of the dump", required=True),
        _column("reason", _TEXT, "short name to group by", required=True),
        _column("detail", _TEXT, "what is wrong, in a sentence", required=True),
    ]
)

REPOSTS = pa.schema(
    [
        _column("source", _TEXT, "file and line or row of the thread that was posted before", required=True),
        _column("original", _TEXT, "where the thread stands that stands for it: the first of them", required=True),
        _column("kind", _TEXT, "`exact`: first posts equal but for dress; `near`: almost", required=True),
        _column("similarity", _FLOAT, "Jaccard index of the first posts' shingles", required=True),
        _column("forum_post", _TEXT, "the first post", required=True),
    ]
)

REPOST_REPLIES = pa.schema(
    [
        _column("original", _TEXT, "where the thread stands that the replies are given to", required=True),
        _column("source", _TEXT, "where the thread stands that they were written in", required=True),
        _column("replies", pa.list_(_TEXT), "the replies, as they were written", required=True),
    ]
)

FORUM_THREADS = pa.schema(
    [
        _column("thread_id", _TEXT, "content id of the thread (first post and discussion)", required=True),
        _column("forum_post", _TEXT, "the first post", required=True),
        _column("forum_discussions", _TEXT, "the later posts without quotes, each under `Post k:`", required=True),
        _column("problem_source", _TEXT, "forum or collection, where the dump names it"),
        _column("post_dates", pa.list_(_TEXT), "when each post was written, the first post's first, as the dump says"),
        _column("replies", _INT, "posts after the first, before any was cut or left out", required=True),
        _column("cuts", pa.list_(_CUT), "posts that were cut or left out: number, characters it had, and kept"),
        _column("dump", _TEXT, "repository and commit of the dump, or name and digest of its files", required=True),
        _column("source", _TEXT, "file and line or row of the dump", required=True),
        _column("topic", _TEXT, "the thread's number at its forum, where the dump names it"),
        _column("reposts", pa.list_(_TEXT), "where the other threads stand whose replies it was given"),
    ]
)

THREADS = pa.schema(
    [
        _THREAD_ID,
        _column("forum_post", _TEXT, "the first post", required=True),
        _column(
            "forum_discussions", _TEXT, "the later posts, each under a line `Post k:`; may be empty", required=True
        ),
        _column("problem_source", _TEXT, "forum or collection that the thread comes from"),
        _column("source", _TEXT, "file and line that the thread was read from", required=True),
        _column("extra", _TEXT, "all other fields of the input, as JSON"),
    ]
)

COMPLETIONS = pa.schema(
    [
        _column("row_id", _TEXT, "thread or problem that was asked about", required=True),
        _column("part", _TEXT, "which of several calls of the row; empty where it has one", required=True),
        _column("sample_index", _INT, "number of the sample, from 0", required=True),
        _column("seed", _INT, "seed that was sent"),
        _column("prompt_hash", _TEXT, "hash of the prompt's fixed text and examples", required=True),
        _column("call_key", _TEXT, "hash of all that decides the reply; what is paid for once", required=True),
        _column("model", _TEXT, "model that was asked", required=True),
        _column("text", _TEXT, "the reply", required=True),
        _column("reasoning", _TEXT, "reasoning that the server gave apart from the reply"),
        _column("finish_reason", _TEXT, "`stop`, or `length` for a reply that was cut"),
        _column("prompt_tokens", _INT, "tokens of the prompt, as the server counts"),
        _column("completion_tokens", _INT, "tokens of the reply, as the server counts"),
        _column("latency_s", _FLOAT, "seconds from sending to the last byte of the try that succeeded"),
        _column("tries", _INT, "tries made, refusals not counted"),
        _column("system_fingerprint", _TEXT, "what the server says of its configuration"),
        _column("error_kind", _TEXT, "kind of the last error; empty for a reply"),
        _column("error", _TEXT, "what the endpoint said"),
    ]
)

PROBLEMS = pa.schema(
    [
        _PROBLEM_ID,
        _THREAD_ID,
        _column("problem", _TEXT, "the statement", required=True),
        _column("expected_answer", _TEXT, "answer found in the discussion; empty when none was found"),
        _column(
            "problem_type",
            _TEXT,
            "`has_answer_extracted`, `no_answer_extracted` or `converted_proof`; filled by merging",
        ),
        _column("problem_source", _TEXT, "forum or collection that the thread comes from"),
        _column("extracted_problem_idx", _INT, "place of the problem in its post, from 0"),
        _column("original_problem", _TEXT, "the proof that was converted"),
        _column("original_problem_id", _TEXT, "problem id of the proof that was converted"),
        _column("model", _TEXT, "model that wrote the statement", required=True),
        _column("answer_model", _TEXT, "model that read the discussion for the answer"),
    ]
)

ANSWER_QUALITY = pa.schema(
    [
        _PROBLEM_ID,
        _THREAD_ID,
        _column("problem_type", _TEXT, "as in the table of problems"),
        _column("expected_answer", _TEXT, "the answer that was assessed; all below is empty where there is none"),
        _column("answer_parses", _TEXT, "`yes`, `no` or `timeout`: whether it can be read as mathematics and compared"),
        _column("answer_form", _TEXT, "number, expression, equation, function, set, interval, tuple, proof, text, …"),
        _column("asked_form", _TEXT, "what the statement asks for, as far as it tells; else `unknown`"),
        _column("form_clash", _BOOL, "whether an answer of this form cannot be one to this question"),
        _column("undefined_symbols", _TEXT, "symbols that neither problem nor answer define, with blanks between"),
        _column("agreeing_posts", _INT, "posts of the discussion that box or state an equal answer"),
        _column("disagreeing_posts", _INT, "posts that state only others; not counted where the thread poses several"),
        _column("undecided_posts", _INT, "posts whose answer could not be compared within the limits"),
        _column("findings", _TEXT, "names of what is doubtful, with blanks between (`answers.assessment.Finding`)"),
    ]
)

DROPPED = pa.schema(
    [
        _column("stage", _TEXT, "stage that the row did not pass", required=True),
        _column(
            "row_id", _TEXT, "thread or problem; for records that are no thread, a hash of file and line", required=True
        ),
        _column("thread_id", _TEXT, "thread of the row, where it has one"),
        _column("outcome", _TEXT, "`dropped` by decision, or `failed` without one", required=True),
        _column("reason", _TEXT, "short name to group by", required=True),
        _column("detail", _TEXT, "what a person wants to know beside the reason"),
        _column("text", _TEXT, "statement or beginning of the post"),
        _column("reply", _TEXT, "what the model said, where it was asked"),
        _column("model", _TEXT, "model that was asked"),
    ]
)

DUPLICATES = pa.schema(
    [
        _PROBLEM_ID,
        _THREAD_ID,
        _column("representative_id", _TEXT, "the problem that stays; names the cluster", required=True),
        _column("is_representative", _BOOL, "whether this is the one that stays", required=True),
        _column(
            "kind",
            _TEXT,
            "`exact`: equals the representative but for dress; `near`; empty for the representative itself",
        ),
        _column("similarity", _FLOAT, "Jaccard index of its shingles with the representative's", required=True),
        _column("copies", _INT, "other problems of the cluster", required=True),
        _column(
            "same_answers", _INT, "how many of them have the same text as their answer, but for dress", required=True
        ),
        _column("other_answers", _INT, "how many of them have another answer", required=True),
        _column("expected_answer", _TEXT, "its own answer; empty when none was found"),
        _column("discussion_chars", _INT, "characters of its thread's discussion", required=True),
        _column("problem", _TEXT, "its statement", required=True),
    ]
)

BENCHMARKS = pa.schema(
    [
        _column("benchmark", _TEXT, "name of the benchmark", required=True),
        _column("benchmark_id", _TEXT, "id within the benchmark: the source's own, or file and row", required=True),
        _column("problem", _TEXT, "statement", required=True),
        _column("source", _TEXT, "repository or file, and the row in it", required=True),
        _column("revision", _TEXT, "commit of the repository, or digest of the file", required=True),
    ]
)

SIMILAR = pa.schema(
    [
        _PROBLEM_ID,
        _THREAD_ID,
        _column(
            "rank", _INT, "1 for the pair that is looked at first; equal benchmark statements share one", required=True
        ),
        _column("found_by", _TEXT, "`exact`, `lexical` or `embedding`, `ngram`, or several of them", required=True),
        _column(
            "score", _FLOAT, "the retriever's score, comparable within one retriever; empty if it found other pairs"
        ),
        _column(
            "ngram_long",
            _FLOAT,
            "share of the benchmark problem's 13-grams in ours (see `retrieval.ngrams`)",
            required=True,
        ),
        _column("ngram_short", _FLOAT, "share of the benchmark problem's 8-grams in ours", required=True),
        _column("exact", _BOOL, "equal after normalisation; needs no judge", required=True),
        _column("benchmark", _TEXT, "name of the benchmark", required=True),
        _column("benchmark_id", _TEXT, "id within the benchmark", required=True),
        _column("benchmark_problem", _TEXT, "statement of the benchmark problem", required=True),
    ]
)

CONTAMINATION = pa.schema(
    [
        *SIMILAR,
        _column("verdict", _TEXT, "`contaminated`, `clean`, or `unclear`", required=True),
        _column("forward", _TEXT, "verdict with our problem first; what was wrong with the reply, if it was unclear"),
        _column("backward", _TEXT, "verdict with the benchmark's first"),
        _column("problem", _TEXT, "our statement", required=True),
    ]
)

CONTAMINATION_REVIEW = pa.schema(
    [
        *CONTAMINATION,
        _column("forward_reply", _TEXT, "what the model said, or the error, with our problem first"),
        _column("backward_reply", _TEXT, "the same with the benchmark's first"),
    ]
)
