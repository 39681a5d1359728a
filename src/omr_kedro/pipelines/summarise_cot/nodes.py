"""Summaries of long solutions: kept only if their own final answer is the solution's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pydantic import Field

from omr_kedro.llm.calls import CallPlan, Completion, Episode, Model, Prompt
from omr_kedro.pipelines.llm_stage import CallOptions, Dropped, Failed, Kept, Outcome, ask, request, settle
from omr_kedro.shards import Row, Scratch, Shard, Shards, SiblingShards, join, map_joined
from omr_kedro.solutions import equal_answers
from omr_kedro.solutions.answer_classes import equal_both_ways
from omr_kedro.solutions.summaries import (
    MAX_TOKENS,
    Stated,
    Summary,
    answer_stated,
    chosen,
    draw_summaries,
    read_summary,
)


class SummaryOptions(CallOptions):
    """Which solutions are summarised, and how."""

    enabled: bool = True
    temperature: float = Field(default=0.7, ge=0, le=2)
    max_tokens: int = Field(default=MAX_TOKENS, gt=0)
    """Tokens of a reply; for a model that reasons first, many more than a summary has."""
    seed: int | None = 0
    longer_than: int = Field(default=2000, ge=0)
    """Characters of reasoning from which on a solution is summarised: a short one is its own summary."""

    @property
    def which(self) -> Row:
        """All of the options that decides which texts have a summary."""
        return self.model_dump(include={"enabled", "longer_than"})


def ask_summarise_cot(solutions: Shards, prompt: Prompt, model: Model, options: SummaryOptions) -> CallPlan:
    """Draw summaries of each long solution, one after the other, until there is enough to choose from."""

    def episodes(solutions: Shard) -> Iterator[Episode]:
        for row in solutions.rows():
            if wants_summary(row, options):
                values = {"problem": row["problem"], "solution": f"{row['reasoning']}\n\n{row['solution']}"}
                asked = request(row["solution_id"], prompt, options, values)
                play = partial(draw_summaries, asked=asked, read=partial(summary_of, row))
                yield Episode(row["solution_id"], play, prompt.hash)

    return ask("summarise_cot", episodes, [solutions], prompt, model, options, calls_per_row=2)


def wants_summary(solution: Row, options: SummaryOptions) -> bool:
    """Whether a solution is summarised."""
    return options.enabled and len(solution["reasoning"] or "") > options.longer_than


def summary_of(solution: Row, completion: Completion) -> Summary:
    """A summary, read and compared with its solution."""

    def same_answer(answer: str) -> bool:
        return equal_both_ways(solution["predicted_answer"], answer, equal_answers)

    def stated(text: str) -> Stated:
        return answer_stated(text, same_answer)

    return read_summary(completion, stated)


def list_summaries(solutions: Shards, completions: Shards, options: SummaryOptions) -> SiblingShards:
    """All summaries that were drawn, each with its flaw if it has one (`tables.SUMMARIES`)."""

    def listed(scratch: Scratch, solutions: Shard, completions: Shard) -> Iterator[Row]:
        for solution, calls in join(solutions, "solution_id", completions, "row_id", scratch):
            for call in calls:
                yield _row(solution, call, summary_of(solution, Completion.from_row(call)))

    return map_joined(listed, solutions, completions, by=options.which)


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
        settings=options.which,
    )


def choose_summary(solution: Row, candidates: list[Row], options: SummaryOptions) -> Outcome:
    """The outcome of one solution. Without a summary it stays a solution."""
    return chosen_summary(candidates, wanted=wants_summary(solution, options))


def chosen_summary(candidates: list[Row], *, wanted: bool) -> Outcome:
    """The outcome of a text by the summaries that were drawn of it, as rows with `summary` and `flaw`."""
    if not wanted:
        return Dropped("short_enough", "it is short, or summaries are switched off")
    place = chosen([Summary(row["summary"], flaw=row["flaw"]) for row in candidates])
    if place is None:
        return Failed("no_valid_summary", ", ".join(row["flaw"] for row in candidates) or "none was drawn")
    return Kept([candidates[place]])


def _row(solution: Row, call: Row, summary: Summary) -> Row:
    return {
        "solution_id": solution["solution_id"],
        "problem_id": solution["problem_id"],
        "thread_id": solution["thread_id"],
        "summary_answer": summary.result or None,
        **summary_columns(call, summary),
    }


def summary_columns(call: Row, summary: Summary) -> Row:
    """The columns of a summary that do not depend on what it sums up."""
    return {
        "sample_index": call["sample_index"],
        "summary": summary.text,
        "flaw": summary.flaw and str(summary.flaw),
        "summary_model": call["model"],
        "completion_tokens": call["completion_tokens"],
        "call_key": call["call_key"],
    }
