"""Tables of solutions: votes, samples, judgements, reference answers, what is kept, and what is not."""

from __future__ import annotations

import pyarrow as pa

from omr_kedro.tables.columns import BOOL, FLOAT, INT, PROBLEM_ID, TEXT, THREAD_ID, column

_CLASS = pa.struct([("answer", TEXT), ("votes", INT), ("samples", pa.list_(INT))])
_MODE = column("mode", TEXT, "`cot` or `tir` (`solutions.Mode`)", required=True)
_SOLUTION_ID = column("solution_id", TEXT, "content id of the problem and of the call", required=True)
_CALL_KEY = column("call_key", TEXT, "the call, in the table of completions", required=True)
_PROMPT_HASH = column("prompt_hash", TEXT, "hash of the prompt's fixed text")
_SAMPLE_INDEX = column("sample_index", INT, "number of the sample, from 0", required=True)
_PREDICTED = column("predicted_answer", TEXT, "answer in the last box; empty where the sample has no vote")
_ANSWER_CLASS = column("answer_class", INT, "number of its class among the problem's, by votes, from 0")
_SUSPECT = column(
    "suspect",
    BOOL,
    "whether samples have answers, and all are known to be other ones than the extracted",
    required=True,
)
_PASS_RATES = [
    column(
        "pass_rate", FLOAT, "unbiased estimate of the share of right samples; empty where nobody knows which are right"
    ),
    column("pass_rate_first8", FLOAT, "share of right ones among the first 8 samples; empty where fewer were drawn"),
]
_VOTES = [
    column("votes_for", INT, "samples with the reference answer"),
    column("votes_total", INT, "samples that vote"),
    column("samples_drawn", INT, "samples that were drawn"),
]
_STOP_REASON = column("stop_reason", TEXT, "why no more samples were drawn (`solutions.StopReason`)", required=True)

VOTES = pa.schema(
    [
        PROBLEM_ID,
        THREAD_ID,
        _MODE,
        column("problem", TEXT, "the statement", required=True),
        column("extracted_answer", TEXT, "answer from the discussion; empty when none was found"),
        column("majority_answer", TEXT, "answer of the class with most votes; empty without votes, and for a tie"),
        column("agreement", FLOAT, "share of the votes that the majority has"),
        column("votes_total", INT, "samples that vote", required=True),
        column("samples_drawn", INT, "samples that were drawn", required=True),
        _STOP_REASON,
        column("classes", pa.list_(_CLASS), "classes of equal answers, most votes first, with their samples"),
    ]
)

SAMPLES = pa.schema(
    [
        _SOLUTION_ID,
        PROBLEM_ID,
        THREAD_ID,
        _MODE,
        _SAMPLE_INDEX,
        _PREDICTED,
        column("no_vote", TEXT, "why it has no vote: `truncated`, `no_box`, `looping`, …; empty where it votes"),
        column("finish_reason", TEXT, "as the server gave it"),
        column("completion_tokens", INT, "tokens of the reply, reasoning included, as the server counts"),
        column("model", TEXT, "model that answered", required=True),
        column("seed", INT, "seed that was sent"),
        _PROMPT_HASH,
        _CALL_KEY,
    ]
)

ANSWERS = pa.schema(
    [
        column("answer_id", TEXT, "content id of the problem, the mode and the answer", required=True),
        PROBLEM_ID,
        THREAD_ID,
        _MODE,
        column("problem", TEXT, "the statement", required=True),
        column(
            "reference_answer",
            TEXT,
            "the extracted answer, or else the majority's",
            required=True,
        ),
        column("answer", TEXT, "answer of the class's first sample", required=True),
        column("answer_class", INT, "number of the class", required=True),
        column("votes", INT, "samples in the class", required=True),
        column("verdict", TEXT, "`correct`, `incorrect` or `undecided`; empty where a judge has yet to be asked"),
        column("decided_by", TEXT, "`equal_text`, `symbolic` or `judge`"),
        column("forward", TEXT, "the judge's word with the reference first: `same`, `different`, or a reason"),
        column("backward", TEXT, "its word with the reference last"),
        column("judge_model", TEXT, "model that judged, where one was asked"),
    ]
)

REFERENCE_ANSWERS = pa.schema(
    [
        PROBLEM_ID,
        THREAD_ID,
        column("expected_answer", TEXT, "the answer that counts; empty where nobody knows one"),
        column("answer_source", TEXT, "`extracted`, `majority`, `replaced_by_majority` or `none`", required=True),
        _SUSPECT,
        column("extracted_answer", TEXT, "answer from the discussion"),
        column("majority_answer", TEXT, "answer of the class with most votes"),
        *_VOTES,
        column("agreement", FLOAT, "share of the votes for it"),
        _STOP_REASON,
        *_PASS_RATES,
    ]
)

SOLUTIONS = pa.schema(
    [
        _SOLUTION_ID,
        PROBLEM_ID,
        THREAD_ID,
        column("problem", TEXT, "the statement", required=True),
        column("expected_answer", TEXT, "the answer that counts (`reference_answers`)"),
        column("answer_source", TEXT, "where it comes from", required=True),
        _SUSPECT,
        column("problem_type", TEXT, "as in the table of problems"),
        column("problem_source", TEXT, "forum or collection that the thread comes from"),
        _MODE,
        column("generation_model", TEXT, "model that wrote it", required=True),
        column("sampling", TEXT, "temperature, top_p and max_tokens, as JSON", required=True),
        _SAMPLE_INDEX,
        column("seed", INT, "seed that was sent"),
        _PROMPT_HASH,
        column("reasoning", TEXT, "what the model thought before; empty where it gave none"),
        column("solution", TEXT, "the final text"),
        _PREDICTED,
        _ANSWER_CLASS,
        column("verdict", TEXT, "`correct`, `incorrect` or `undecided`", required=True),
        column("decided_by", TEXT, "`equal_text`, `symbolic`, `judge`, or `majority`, which is right by definition"),
        column("judge_model", TEXT, "model that judged its answer, where one was asked"),
        *_VOTES,
        _STOP_REASON,
        *_PASS_RATES,
        column("completion_tokens", INT, "tokens of the reply, reasoning included"),
        column("finish_reason", TEXT, "as the server gave it"),
        _CALL_KEY,
    ]
)

_REJECTION = [
    column("outcome", TEXT, "`dropped` by decision, or `failed` without one", required=True),
    column("reason", TEXT, "verdict, `no_reference_answer`, or why it has no vote", required=True),
]

REJECTED_SOLUTIONS = pa.schema([*SOLUTIONS, *_REJECTION])

SUMMARIES = pa.schema(
    [
        _SOLUTION_ID,
        PROBLEM_ID,
        THREAD_ID,
        column("sample_index", INT, "number of the summary among those of its solution, from 0", required=True),
        column("summary", TEXT, "the summary; empty where the reply holds none", required=True),
        column("summary_answer", TEXT, "answer in its last box"),
        column("flaw", TEXT, "why it cannot stand for its solution; empty for a valid one"),
        column("summary_model", TEXT, "model that wrote it", required=True),
        column("completion_tokens", INT, "tokens of the reply"),
        _CALL_KEY,
    ]
)

_COMPUTED = [
    column("output_tokens", INT, "tokens of output that the model was given"),
    column("executions", INT, "pieces of code that were run"),
    column("execution_errors", INT, "those of them that raised or crashed"),
    column("execution_timeouts", INT, "those that took too long"),
    column("void_turns", INT, "replies with neither code nor answer"),
    column("continued", INT, "times that a reply went on from where a part of it ended"),
]

TIR_SAMPLES = pa.schema([*SAMPLES, *_COMPUTED])

TIR_SOLUTIONS = pa.schema(
    [
        *SOLUTIONS,
        *_COMPUTED,
        column("messages", TEXT, "the conversation as JSON: messages with `role` and `content`, output in its own"),
    ]
)

TIR_REJECTED_SOLUTIONS = pa.schema([*TIR_SOLUTIONS, *_REJECTION])

TIR_TURNS = pa.schema(
    [
        _SOLUTION_ID,
        PROBLEM_ID,
        THREAD_ID,
        column("turn", INT, "number of the reply, from 0", required=True),
        column("position", INT, "place in the conversation, from 0", required=True),
        column("kind", TEXT, "`reasoning`, `text`, `code` or `output`", required=True),
        column("text", TEXT, "as the model wrote it, or the sandbox gave it", required=True),
        column("status", TEXT, "of output: how the code ended (`sandbox.Status`), or `not_run`"),
        column("seconds", FLOAT, "of output: how long the code ran"),
    ]
)

_FRAGMENT = pa.struct([("fragment_id", TEXT), ("number", INT), ("text", TEXT)])
_UNREAD = pa.list_(TEXT)

TIR_FRAGMENTS = pa.schema(
    [
        _SOLUTION_ID,
        PROBLEM_ID,
        THREAD_ID,
        column("problem", TEXT, "the statement", required=True),
        column("code_blocks", INT, "pieces of code in the solution", required=True),
        column("void_turns", INT, "replies with neither code nor answer", required=True),
        column(
            "fragments",
            pa.list_(_FRAGMENT),
            "each piece of code that ran to its end, with its output and the text around it",
            required=True,
        ),
    ]
)

TIR_FRAGMENT_VOTES = pa.schema(
    [
        column(
            "fragment_id",
            TEXT,
            "content id of the solution, the code, its output and the text around it",
            required=True,
        ),
        _SOLUTION_ID,
        PROBLEM_ID,
        THREAD_ID,
        column("number", INT, "of its piece of code in the solution, from 0", required=True),
        column("novelty", TEXT, "`verification` or `novel`; empty where the votes decide nothing"),
        column("votes_verification", INT, "votes for it", required=True),
        column("votes_novel", INT, "votes for it", required=True),
        column("novelty_unread", _UNREAD, "why each other reply is no vote", required=True),
        column(
            "significance", TEXT, "`trivial`, `moderate` or `significant`; empty where it is not novel, or undecided"
        ),
        column("votes_trivial", INT, "votes for it", required=True),
        column("votes_moderate", INT, "votes for it", required=True),
        column("votes_significant", INT, "votes for it", required=True),
        column("significance_unread", _UNREAD, "why each other reply is no vote", required=True),
        column("tied", BOOL, "whether a vote more would have raised a verdict", required=True),
        column("judge_model", TEXT, "model that voted"),
    ]
)

TIR_USEFULNESS = pa.schema(
    [
        _SOLUTION_ID,
        PROBLEM_ID,
        THREAD_ID,
        column("fragments", INT, "fragments that were judged", required=True),
        column("novel", INT, "novel ones", required=True),
        column("novel_moderate", INT, "novel ones that are moderate or significant", required=True),
        column("novel_significant", INT, "novel ones that are significant", required=True),
        column("undecided", INT, "those on which the votes decide nothing", required=True),
        column("tied", INT, "those of which a vote was tied", required=True),
        column("unread", INT, "replies that are no vote", required=True),
    ]
)
