"""The answer that a thread's discussion gives to a problem."""

from __future__ import annotations

from collections.abc import Iterator

from omr_kedro.answers import parse_answer
from omr_kedro.llm.calls import CallPlan, Completion, Model, Prompt, Request
from omr_kedro.pipelines.llm_stage import (
    CallOptions,
    Failed,
    Kept,
    Outcome,
    ask,
    read_sole,
    request,
    settle,
)
from omr_kedro.shards import Row, Shard, Shards, SiblingShards


def ask_extract_answers(
    problems: Shards, threads: Shards, prompt: Prompt, model: Model, options: CallOptions
) -> CallPlan:
    """Ask what the discussion answers; nothing is asked where nobody replied."""

    def requests(problems: Shard, threads: Shard) -> Iterator[Request]:
        posts = {row["thread_id"]: row for row in threads.rows()}
        for row in problems.rows():
            thread = posts[row["thread_id"]]
            if thread["forum_discussions"].strip():
                values = {name: thread[name] for name in ("forum_post", "forum_discussions")}
                yield request(row["problem_id"], prompt, options, {"problem": row["problem"], **values})

    return ask("extract_answers", requests, [problems, threads], prompt, model, options)


def read_extract_answers(problems: Shards, completions: Shards, options: CallOptions) -> tuple[SiblingShards, ...]:
    """Problems with the answer that was found or without one, and problems whose reply could not be read."""
    limit = options.max_failed_share
    return settle("extract_answers", read_answer, problems, completions, max_failed_share=limit)


def read_answer(problem: Row, completions: list[Completion]) -> Outcome:
    """One problem with its answer."""
    if not completions:
        return Kept([{**problem, "expected_answer": None}])
    answer = read_sole(completions, parse_answer)
    if isinstance(answer, Failed):
        return answer
    return Kept([{**problem, "expected_answer": answer, "answer_model": completions[0].model}])
