"""Configs of the published dataset: the columns of OpenMathReasoning, and ours beside them."""

from __future__ import annotations

import pyarrow as pa

from omr_kedro.tables.columns import BOOL, FLOAT, INT, PROBLEM_ID, TEXT, THREAD_ID, column

MESSAGE = pa.struct(
    [
        ("role", TEXT),
        ("content", TEXT),
        ("reasoning", TEXT),
        ("tool_calls", TEXT),
        ("tool_call_id", TEXT),
        ("name", TEXT),
    ]
)
"""A message of a chat; `tool_calls` is JSON text, so that no loader fills its structs with empty keys."""
CANDIDATE = pa.struct([("solution_id", TEXT), ("text", TEXT), ("correct", BOOL)])

# Names and types as in nvidia/OpenMathReasoning (revision d3d0866): pass rates are texts there.
ORIGINAL = [
    column("problem", TEXT, "the statement; of `genselect` the whole prompt", required=True),
    column(
        "generated_solution",
        TEXT,
        "reasoning between `<think>` and `</think>`, then the summary, or else the final text; empty for problems",
    ),
    column("generation_model", TEXT, "model that wrote it"),
    column("problem_type", TEXT, "`has_answer_extracted`, `no_answer_extracted` or `converted_proof`"),
    column("expected_answer", TEXT, "the answer that counts (`reference_answers`); empty where nobody knows one"),
    column("problem_source", TEXT, "forum or collection that the thread comes from"),
    column("inference_mode", TEXT, "`cot`, `tir` or `genselect`; empty for problems"),
    column("pass_rate_72b_tir", TEXT, "pass rate of another model than ours, which is not measured here: empty"),
    column("used_in_kaggle", BOOL, "whether a competition's model was trained on it: empty, as nobody has"),
]

_ANSWER = [
    column("answer_type", TEXT, "number, expression, equation, set, interval, tuple, … (`answers.forms`)"),
    column("answer_source", TEXT, "`extracted`, `majority`, `replaced_by_majority` or `none`"),
    column("license", TEXT, "licence of the row, as the Hub names it", required=True),
]
_MESSAGES = [
    column("messages", pa.list_(MESSAGE), "the chat, with the output of code in messages of the role `tool`"),
    column("tools", TEXT, "tools that the model could call, as JSON; empty where there were none"),
]
_VOTES = [
    column("votes_for", INT, "samples with the reference answer"),
    column("votes_total", INT, "samples that vote"),
    column("samples_drawn", INT, "samples that were drawn"),
    column("stop_reason", TEXT, "why no more samples were drawn (`solutions.StopReason`)"),
    column("pass_rate", FLOAT, "unbiased estimate of the share of right samples; empty where nobody knows which are"),
    column("pass_rate_first8", FLOAT, "share of right ones among the first 8 samples; empty where fewer were drawn"),
    column("pass_rate_model", TEXT, "model whose samples were counted"),
]
_VERSION = column("pipeline_version", TEXT, "version of omr_kedro", required=True)

PUBLISHED_SOLUTIONS = pa.schema(
    [
        *ORIGINAL,
        PROBLEM_ID,
        column("solution_id", TEXT, "content id of the problem and of the call", required=True),
        THREAD_ID,
        *_ANSWER,
        *_MESSAGES,
        column("predicted_answer", TEXT, "answer in the solution's last box"),
        column("verdict", TEXT, "`correct`, `incorrect` or `undecided`", required=True),
        column("decided_by", TEXT, "`equal_text`, `symbolic`, `judge` or `majority`"),
        column("judge_model", TEXT, "model that judged its answer, where one was asked"),
        *_VOTES,
        column("completion_tokens", INT, "tokens of the replies, reasoning included"),
        column("output_tokens", INT, "tokens of output that the model was given; empty without tools"),
        column("finish_reason", TEXT, "as the server gave it"),
        column("tool_calls", INT, "pieces of code that were run; empty without tools"),
        column("tool_errors", INT, "those of them that raised or crashed"),
        column("tool_timeouts", INT, "those that took too long"),
        column("void_turns", INT, "turns before the last one without code"),
        column(
            "useful",
            BOOL,
            "whether its code was of use, by a judge or, without one, by a rule; empty without a decision or tools",
        ),
        column("seed", INT, "seed that was sent"),
        column("sample_index", INT, "number of the sample, from 0", required=True),
        column("sampling", TEXT, "temperature, top_p and max_tokens, as JSON"),
        column("prompt_hash", TEXT, "hash of the prompt's fixed text"),
        _VERSION,
    ]
)
"""Configs `cot` and `tir`."""

PUBLISHED_REJECTED = pa.schema(
    [
        *PUBLISHED_SOLUTIONS,
        column("outcome", TEXT, "`dropped` by decision, or `failed` without one", required=True),
        column("reason", TEXT, "verdict, `no_reference_answer`, or why it has no vote", required=True),
    ]
)
"""Config `rejected`: samples of all modes that are no solution."""

PUBLISHED_PROBLEMS = pa.schema(
    [
        *ORIGINAL,
        PROBLEM_ID,
        THREAD_ID,
        *_ANSWER,
        column("suspect", BOOL, "whether samples have answers, and all are known to be other ones than the extracted"),
        column("extracted_answer", TEXT, "answer from the discussion"),
        column("original_problem", TEXT, "the proof that was converted"),
        *_VOTES,
        column("solutions", INT, "published solutions of it, of all modes", required=True),
        _VERSION,
    ]
)
"""Config `problems`, and `additional_problems`, those of them without a published solution."""

PUBLISHED_SELECTIONS = pa.schema(
    [
        *ORIGINAL,
        PROBLEM_ID,
        column("solution_id", TEXT, "the candidate that was chosen", required=True),
        THREAD_ID,
        column("group_id", TEXT, "content id of the problem and its candidates in their order", required=True),
        column("set_id", TEXT, "the same of the candidates in any order", required=True),
        column("order", INT, "0 for the first order of a set, 1 for the other one"),
        *_ANSWER,
        *_MESSAGES,
        column("statement", TEXT, "the statement alone", required=True),
        column("candidates", pa.list_(CANDIDATE), "in the order in which the model saw them", required=True),
        column("chosen", INT, "place of the chosen one, from 0", required=True),
        column("completion_tokens", INT, "tokens of the reply, reasoning included"),
        column("finish_reason", TEXT, "as the server gave it"),
        column("prompt_hash", TEXT, "hash of the prompt's fixed text"),
        _VERSION,
    ]
)
"""Config `genselect`."""

SFT_SELECTION = pa.schema(
    [
        column("solution_id", TEXT, "a published solution, in the order of `cot`, then `tir`", required=True),
        PROBLEM_ID,
        column("inference_mode", TEXT, "`cot` or `tir`", required=True),
        column("outcome", TEXT, "`kept` for training, or `dropped`", required=True),
        column("reason", TEXT, "filter that left it out, `held_out_for_rl`, or `not_drawn`; empty where it is kept"),
    ]
)
"""Which published solutions are trained on."""
