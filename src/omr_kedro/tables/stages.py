"""Tables that many stages have: calls, and rows that were not kept."""

from __future__ import annotations

import pyarrow as pa

from omr_kedro.tables.columns import FLOAT, INT, TEXT, column

COMPLETIONS = pa.schema(
    [
        column("row_id", TEXT, "thread or problem that was asked about", required=True),
        column("part", TEXT, "which of several calls of the row; empty where it has one", required=True),
        column("sample_index", INT, "number of the sample, from 0", required=True),
        column("turn", INT, "number of the call among those of a sample that follow from each other, from 0"),
        column("kind", TEXT, "`model`: a reply; `code`: the output of code that was run; `end`: why no more was asked"),
        column("seed", INT, "seed that was sent"),
        column("prompt_hash", TEXT, "hash of the prompt's fixed text and examples", required=True),
        column("call_key", TEXT, "hash of all that decides the reply; what is paid for once", required=True),
        column("model", TEXT, "model that answered, as the endpoint names it", required=True),
        column("text", TEXT, "the reply, or the output", required=True),
        column("reasoning", TEXT, "reasoning that the server gave apart from the reply"),
        column("finish_reason", TEXT, "`stop`, or why the reply is not whole: `length`, `content_filter`, …"),
        column("prompt_tokens", INT, "tokens of the prompt, as the server counts"),
        column("completion_tokens", INT, "tokens of the reply, as the server counts"),
        column("latency_s", FLOAT, "seconds from sending to the last byte of the try that succeeded"),
        column("tries", INT, "tries made, refusals not counted"),
        column("system_fingerprint", TEXT, "what the server says of its configuration"),
        column("error_kind", TEXT, "kind of the last error; empty for a reply"),
        column("error", TEXT, "what the endpoint said"),
        column("checksum", TEXT, "CRC-32 of the texts, and of the numbers, from `call_key` to `error`: tells damage"),
        column("asked_model", TEXT, "name that the model was asked by; empty in rows of earlier versions"),
        column("stop_reason", TEXT, "text that the reply was to end at, where it did"),
        column("token_ids", pa.list_(INT), "token ids of the reply, where they were asked for"),
        column("prompt_ids", pa.list_(INT), "token ids that the server made of the messages, where asked for"),
        column("tool_calls", TEXT, "calls of tools that the reply makes, as JSON: `id`, `name`, `arguments`"),
    ]
)

DROPPED = pa.schema(
    [
        column("stage", TEXT, "stage that the row did not pass", required=True),
        column(
            "row_id", TEXT, "thread or problem; for records that are no thread, a hash of file and line", required=True
        ),
        column("thread_id", TEXT, "thread of the row, where it has one"),
        column("outcome", TEXT, "`dropped` by decision, or `failed` without one", required=True),
        column("reason", TEXT, "short name to group by", required=True),
        column("detail", TEXT, "what a person wants to know beside the reason"),
        column("text", TEXT, "statement or beginning of the post"),
        column("reply", TEXT, "the beginning of what the model said, where it was asked"),
        column("model", TEXT, "model that answered, where one was asked"),
    ]
)
