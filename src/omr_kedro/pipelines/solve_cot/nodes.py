"""Samples of chain-of-thought solutions: drawn in rounds until a rule says that the matter is settled."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from omr_kedro.llm.calls import (
    CallPlan,
    Completion,
    Episode,
    EpisodeLimits,
    EpisodeOptions,
    Model,
    Prompt,
    Request,
    StepFailedError,
    Steps,
)
from omr_kedro.pipelines.llm_stage import Kept, Outcome, ask, not_whole, request, settle
from omr_kedro.pipelines.sampling import (
    LOOPING,
    SamplingOptions,
    count_votes,
    decision_on,
    draw_rounds,
    sample_row,
    unfinished,
    without_samples,
)
from omr_kedro.shards import Row, Shard, Shards, SiblingShards
from omr_kedro.solutions import Mode, Sample, is_looping, read_sample
from omr_kedro.text import ReasonedReply, Unreadable, split_reasoning


def ask_solve_cot(problems: Shards, prompt: Prompt, model: Model, options: SamplingOptions) -> CallPlan:
    """Draw samples of each problem in rounds, until the rule ends it."""

    def episodes(problems: Shard) -> Iterator[Episode]:
        for row in problems.rows():
            yield Episode(row["problem_id"], partial(draw, row=row, prompt=prompt, options=options), prompt.hash)

    limits = EpisodeLimits(seconds=options.max_seconds)
    return ask(
        "solve_cot",
        episodes,
        [problems],
        prompt,
        model,
        options,
        calls_per_row=options.stop_rule.usual_draws,
        episodes=EpisodeOptions(limits=limits),
    )


async def draw(steps: Steps, row: Row, prompt: Prompt, options: SamplingOptions) -> None:
    """Draw the samples of one problem, round by round."""
    first = request(row["problem_id"], prompt, options, {"problem": row["problem"]})
    await draw_rounds(steps, row, options.stop_rule, lambda index: _sample(steps, first.sample(index), options))


async def _sample(steps: Steps, asked: Request, options: SamplingOptions) -> Sample:
    try:
        return read_solution(asked.sample_index, await steps.ask(asked), options.loop_share)[0]
    except StepFailedError as failed:
        return read_solution(asked.sample_index, failed.completion, options.loop_share)[0]


def read_solution(index: int, completion: Completion, loop_share: float) -> tuple[Sample, ReasonedReply | None]:
    """A sample as it votes, and its reasoning and final text where it has both."""
    if fault := not_whole(completion):
        return Sample(index, None, fault.reason), None
    reply = split_reasoning(completion.text, completion.reasoning)
    if isinstance(reply, Unreadable):
        return Sample(index, None, reply.reason), None
    if is_looping(reply.reasoning, loop_share) or is_looping(reply.text, loop_share):
        return Sample(index, None, LOOPING), reply
    return read_sample(index, reply.text), reply


def read_solve_cot(problems: Shards, completions: Shards, options: SamplingOptions) -> tuple[SiblingShards, ...]:
    """The samples of each problem (`tables.SAMPLES`), and the problems that have none, or not all."""
    return settle(
        "solve_cot",
        partial(read_samples, options=options),
        problems,
        completions,
        of=dict,
        max_failed_share=options.max_failed_share,
        settings=options.model_dump(mode="json", include={"stop_rule", "loop_share"}),
    )


def read_samples(problem: Row, rows: list[Row], options: SamplingOptions) -> Outcome:
    """The samples of one problem, from its rows of the completions table."""
    found = [(row, Completion.from_row(row)) for row in rows]
    drawn = [(row, completion) for row, completion in found if row["kind"] != "end"]
    if all(completion.error_kind for _, completion in drawn):
        return without_samples(rows)
    samples = [read_solution(row["sample_index"], completion, options.loop_share)[0] for row, completion in drawn]
    if decision_on(options.stop_rule, samples, problem["expected_answer"]) is None:
        return unfinished(rows)
    return Kept(
        [
            _sample_row(problem, row, completion, sample)
            for (row, completion), sample in zip(drawn, samples, strict=True)
        ]
    )


def count_cot_votes(problems: Shards, samples: Shards, options: SamplingOptions) -> SiblingShards:
    """The votes of each problem that has samples (`tables.VOTES`)."""
    return count_votes(problems, samples, options.stop_rule, Mode.COT)


def _sample_row(problem: Row, row: Row, completion: Completion, sample: Sample) -> Row:
    counted = {"finish_reason": completion.finish_reason, "completion_tokens": completion.completion_tokens}
    return {**sample_row(problem, row, sample, Mode.COT), **counted}
