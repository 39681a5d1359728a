"""Evidence on answers."""

from __future__ import annotations

import pyarrow as pa

from omr_kedro.tables.columns import BOOL, INT, PROBLEM_ID, TEXT, THREAD_ID, column

ANSWER_QUALITY = pa.schema(
    [
        PROBLEM_ID,
        THREAD_ID,
        column("problem_type", TEXT, "as in the table of problems"),
        column("expected_answer", TEXT, "the answer that was assessed; all below is empty where there is none"),
        column("answer_parses", TEXT, "`yes`, `no` or `timeout`: whether it can be read as mathematics and compared"),
        column("answer_form", TEXT, "number, expression, equation, function, set, interval, tuple, proof, text, …"),
        column("asked_form", TEXT, "what the statement asks for, as far as it tells; else `unknown`"),
        column("form_clash", BOOL, "whether an answer of this form cannot be one to this question"),
        column("undefined_symbols", TEXT, "symbols that neither problem nor answer define, with blanks between"),
        column("agreeing_posts", INT, "posts of the discussion that box or state an equal answer"),
        column("disagreeing_posts", INT, "posts that state only others; not counted where the thread poses several"),
        column("undecided_posts", INT, "posts whose answer could not be compared within the limits"),
        column("findings", TEXT, "names of what is doubtful, with blanks between (`answers.assessment.Finding`)"),
    ]
)
