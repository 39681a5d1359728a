"""Every problem of a thread's first post, as a statement that stands by itself."""

from __future__ import annotations

from collections.abc import Iterator

from omr_kedro.llm.calls import CallPlan, Completion, Model, Prompt, Request
from omr_kedro.pipelines.llm_stage import (
    CallOptions,
    Dropped,
    Failed,
    Kept,
    Outcome,
    ask,
    read_sole,
    request,
    settle,
)
from omr_kedro.shards import Row, Shard, Shards, SiblingShards, content_id
from omr_kedro.text import parse_problems


def ask_extract_problems(threads: Shards, prompt: Prompt, model: Model, options: CallOptions) -> CallPlan:
    """Ask for the problems of each first post."""

    def requests(threads: Shard) -> Iterator[Request]:
        for row in threads.rows():
            yield request(row["thread_id"], prompt, options, {"forum_post": row["forum_post"]})

    return ask("extract_problems", requests, [threads], prompt, model, options)


def read_extract_problems(threads: Shards, completions: Shards, options: CallOptions) -> tuple[SiblingShards, ...]:
    """Problems found (`tables.PROBLEMS`), and threads that gave none."""
    limit = options.max_failed_share
    return settle("extract_problems", read_problems, threads, completions, key="thread_id", max_failed_share=limit)


def read_problems(thread: Row, completions: list[Completion]) -> Outcome:
    """The problems of one thread; a statement that the reply gives twice counts once."""
    statements = read_sole(completions, parse_problems)
    if isinstance(statements, Failed):
        return statements
    if not statements:
        return Dropped("no_problem", "the post states no problem")
    rows: dict[str, Row] = {}
    for index, statement in enumerate(statements):
        problem_id = content_id(thread["thread_id"], statement)
        row = {
            "problem_id": problem_id,
            "thread_id": thread["thread_id"],
            "problem": statement,
            "problem_source": thread["problem_source"],
            "extracted_problem_idx": index,
            "model": completions[0].model,
        }
        rows.setdefault(problem_id, row)
    return Kept(list(rows.values()))
