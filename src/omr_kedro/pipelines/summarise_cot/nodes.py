"""Summaries of long solutions: kept only if their own final answer is the solution's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pydantic import Field

from omr_kedro.llm.calls import (
    CallPlan,
    Completion,
    Episode,
    Model,
    Prompt,
    StepFailedError,
    Steps,
)
from omr_kedro.llm.calls.token_estimate import estimate_reply_tokens
from omr_kedro.pipelines.llm_stage import CallOptions, Dropped, Failed, Kept, Outcome, ask, request, settle
from omr_kedro.shards import Row, Scratch, Shard, Shards, SiblingShards, join, map_joined
from omr_kedro.solutions import equal_answers
from omr_kedro.solutions.answer_classes import equal_both_ways
from omr_kedro.solutions.summaries import MAX_TOKENS, MOST_DRAWN, Summary, chosen, enough, read_summary


class SummaryOptions(CallOptions):
    """Which solutions are summarised, and how."""

    enabled: bool = True
    temperature: float = Field(default=0.7, ge=0, le=2)
    max_tokens: int = Field(default=MAX_TOKENS, gt=0)
    """Tokens of a reply; for a model that reasons first, many more than a summary has."""
    seed: int | None = 0
    longer_than: int = Field(default=2000, ge=0)
    """Characters of reasoning from which on a solution is summarised: a short one is its own summary."""


def ask_summarise_cot(solutions: Shards, prompt: Prompt, model: Model, options: SummaryOptions) -> CallPlan:
    """Draw summaries of each long solution, one after the other, until there is enough to choose from."""

    def episodes(solutions: Shard) -> Iterator[Episode]:
        for row in solutions.rows():
            if wants_summary(row, options):
                yield Episode(row["solution_id"], partial(draw, row=row, prompt=prompt, options=options), prompt.hash)

    return ask("summarise_cot", episodes, [solutions], prompt, model, options, calls_per_row=2)


def wants_summary(solution: Row, options: SummaryOptions) -> bool:
    """Whether a solution is summarised."""
    return options.enabled and len(solution["reasoning"] or "") > options.longer_than


async def draw(steps: Steps, row: Row, prompt: Prompt, options: SummaryOptions) -> None:
    """Draw summaries of one solution."""
    values = {"problem": row["problem"], "solution": f"{row['reasoning']}\n\n{row['solution']}"}
    asked = request(row["solution_id"], prompt, options, values)
    summaries: list[Summary] = []
    for index in range(MOST_DRAWN):
        try:
            completion = await steps.ask(asked.sample(index))
        except StepFailedError as failed:
            completion = failed.completion
        summaries.append(summary_of(row, completion))
        if enough(summaries):
            return


def summary_of(solution: Row, completion: Completion) -> Summary:
    """A summary, read and compared with its solution."""

    def same_answer(answer: str) -> bool:
        return equal_both_ways(solution["predicted_answer"], answer, equal_answers)

    def count_tokens(text: str) -> int:
        # The server's count holds for all of the reply; reasoning, wherever it stands, is no part of the summary.
        alone = not completion.reasoning and len(text) == len(completion.text.strip())
        return (alone and completion.completion_tokens) or estimate_reply_tokens(text)

    return read_summary(completion, same_answer, count_tokens)


def list_summaries(solutions: Shards, completions: Shards, options: SummaryOptions) -> SiblingShards:
    """All summaries that were drawn, each with its flaw if it has one (`tables.SUMMARIES`)."""

    def listed(scratch: Scratch, solutions: Shard, completions: Shard) -> Iterator[Row]:
        for solution, calls in join(solutions, "solution_id", completions, "row_id", scratch):
            for call in calls:
                yield _row(solution, call, summary_of(solution, Completion.from_row(call)))

    return map_joined(listed, solutions, completions, by=_settings(options))


def read_summarise_cot(solutions: Shards, candidates: Shards, options: SummaryOptions) -> tuple[SiblingShards, ...]:
    """The summary of each solution that has one (`tables.SUMMARIES`), and the solutions without one."""
    return settle(
        "summarise_cot",
        partial(choose_summary, options=options),
        solutions,
        candidates,
        key="solution_id",
        evidence_key="solution_id",
        of=dict,
        max_failed_share=options.max_failed_share,
        settings=_settings(options),
    )


def choose_summary(solution: Row, candidates: list[Row], options: SummaryOptions) -> Outcome:
    """The outcome of one solution. Without a summary it stays a solution."""
    if not wants_summary(solution, options):
        return Dropped("short_enough", "its reasoning is short, or summaries are switched off")
    place = chosen([Summary(row["summary"], row["summary_answer"] or "", row["flaw"]) for row in candidates])
    if place is None:
        return Failed("no_valid_summary", ", ".join(row["flaw"] for row in candidates) or "none was drawn")
    return Kept([candidates[place]])


def _settings(options: SummaryOptions) -> Row:
    """All of the options that decides which solutions have a summary."""
    return options.model_dump(include={"enabled", "longer_than"})


def _row(solution: Row, call: Row, summary: Summary) -> Row:
    return {
        "solution_id": solution["solution_id"],
        "problem_id": solution["problem_id"],
        "thread_id": solution["thread_id"],
        "sample_index": call["sample_index"],
        "summary": summary.text,
        "summary_answer": summary.answer or None,
        "flaw": summary.flaw and str(summary.flaw),
        "summary_model": call["model"],
        "completion_tokens": call["completion_tokens"],
        "call_key": call["call_key"],
    }
