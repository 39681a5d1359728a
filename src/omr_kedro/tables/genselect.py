"""Tables of GenSelect: groups of candidates, comparisons with the candidate that each chooses, and their summaries."""

from __future__ import annotations

import pyarrow as pa

from omr_kedro.tables.columns import BOOL, INT, PROBLEM_ID, TEXT, THREAD_ID, column

_CANDIDATE = pa.struct([("solution_id", TEXT), ("text", TEXT), ("answer", TEXT), ("correct", BOOL)])
_GROUP_ID = column("group_id", TEXT, "content id of the problem and the candidates in their order", required=True)
_SET_ID = column("set_id", TEXT, "content id of the problem and the candidates in any order", required=True)

CANDIDATE_GROUPS = pa.schema(
    [
        _GROUP_ID,
        _SET_ID,
        PROBLEM_ID,
        THREAD_ID,
        column("problem", TEXT, "the statement", required=True),
        column("expected_answer", TEXT, "the answer that counts", required=True),
        column("candidates", pa.list_(_CANDIDATE), "solutions in the order in which they are shown", required=True),
        column("order", INT, "0 for the first order of the set, 1 for the other one", required=True),
    ]
)

SELECTIONS = pa.schema(
    [
        *CANDIDATE_GROUPS,
        column(
            "chosen", INT, "place of the chosen candidate, from 0 (the model sees numbers from 1); empty if unclear"
        ),
        column("chosen_solution_id", TEXT, "the solution at this place"),
        column("outcome", TEXT, "`right`, `wrong` or `unclear`", required=True),
        column("why_unclear", TEXT, "why it gives no choice; empty where it does"),
        column("comparison", TEXT, "the final text of the reply", required=True),
        column("reasoning", TEXT, "what the model thought before; empty where it gave none"),
        column("selection_model", TEXT, "model that compared", required=True),
        column("completion_tokens", INT, "tokens of the reply, reasoning included"),
        column("finish_reason", TEXT, "as the server gave it"),
        column("call_key", TEXT, "the call, in the table of completions", required=True),
        column("prompt_hash", TEXT, "hash of the prompt's fixed text", required=True),
    ]
)

SELECTION_SUMMARIES = pa.schema(
    [
        _GROUP_ID,
        _SET_ID,
        PROBLEM_ID,
        THREAD_ID,
        column("sample_index", INT, "number of the summary among those of its comparison, from 0", required=True),
        column("summary", TEXT, "the summary; empty where the reply holds none", required=True),
        column("summary_choice", INT, "place of the candidate that it chooses, from 0"),
        column("flaw", TEXT, "why it cannot stand for its comparison; empty for a valid one"),
        column("summary_model", TEXT, "model that wrote it", required=True),
        column("completion_tokens", INT, "tokens of the reply"),
        column("call_key", TEXT, "the call, in the table of completions", required=True),
    ]
)
