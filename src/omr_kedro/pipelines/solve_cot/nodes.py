"""Samples of chain-of-thought solutions: drawn in rounds until a rule says that the matter is settled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from pydantic import Field

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
from omr_kedro.pipelines.llm_stage import CallOptions, Failed, Kept, Outcome, ask, not_whole, request, settle
from omr_kedro.shards import Row, Scratch, Shard, Shards, SiblingShards, content_id, join, map_joined
from omr_kedro.solutions import Decision, Sample, StopRule, Votes, decide, is_looping, read_sample
from omr_kedro.text import ReasonedReply, Unreadable, split_reasoning

COT = "cot"
"""The mode of these solutions, as `inference_mode` of the published dataset has it."""
LOOPING = "looping"
"""Why a sample that says the same again and again has no vote."""


class SolvingOptions(CallOptions):
    """How solutions are sampled, and when enough of a problem are drawn."""

    temperature: float = Field(default=0.7, ge=0, le=2)
    top_p: float | None = Field(default=0.95, gt=0, le=1)
    max_tokens: int = Field(default=16384, gt=0)
    """Tokens of a sample at most, reasoning included."""
    seed: int | None = 0
    """Sample i is drawn with seed + i. Without seeds a server may give the same sample twice."""
    stop_rule: StopRule = StopRule()
    """When enough samples of a problem are drawn."""
    loop_share: float = Field(default=0.02, ge=0, le=1)
    """Share of new word 8-grams below which a sample is a loop and has no vote; 0 takes none for a loop."""
    max_seconds: float | None = Field(default=None, gt=0)
    """Of one problem in one run; the next run goes on with it."""


def ask_solve_cot(problems: Shards, prompt: Prompt, model: Model, options: SolvingOptions) -> CallPlan:
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


async def draw(steps: Steps, row: Row, prompt: Prompt, options: SolvingOptions) -> None:
    """Draw the samples of one problem, round by round."""
    first = request(row["problem_id"], prompt, options, {"problem": row["problem"]})
    await draw_rounds(steps, row, options.stop_rule, lambda index: _sample(steps, first.sample(index), options))


async def draw_rounds(steps: Steps, row: Row, rule: StopRule, sample: Callable[[int], Awaitable[Sample]]) -> None:
    """Draw samples of one problem, whole rounds at a time, until the rule ends it; `sample` draws one by its index."""
    samples: list[Sample] = []
    while True:
        samples += await steps.together(sample(index) for index in rule.next_round(len(samples)))
        if decide(rule, samples, row["expected_answer"]):
            return


async def _sample(steps: Steps, asked: Request, options: SolvingOptions) -> Sample:
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


def read_solve_cot(problems: Shards, completions: Shards, options: SolvingOptions) -> tuple[SiblingShards, ...]:
    """The samples of each problem (`tables.SAMPLES`), and the problems that have none, or not all."""
    return settle(
        "solve_cot",
        partial(read_samples, options=options),
        problems,
        completions,
        of=dict,
        max_failed_share=options.max_failed_share,
        settings=_settings(options),
    )


def read_samples(problem: Row, rows: list[Row], options: SolvingOptions) -> Outcome:
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


def count_cot_votes(problems: Shards, samples: Shards, options: SolvingOptions) -> SiblingShards:
    """The votes of each problem that has samples, and why no more were drawn (`tables.VOTES`)."""

    def counted(scratch: Scratch, problems: Shard, samples: Shard) -> Iterator[Row]:
        for problem, drawn in join(problems, "problem_id", samples, "problem_id", scratch):
            if drawn:
                voters = [Sample(row["sample_index"], row["predicted_answer"], row["no_vote"]) for row in drawn]
                decision = decide(options.stop_rule, voters, problem["expected_answer"])
                assert decision, "only problems whose samples were drawn to their end have any"  # noqa: S101
                yield _votes_row(problem, decision)

    return map_joined(counted, problems, samples, by=_settings(options))


def _settings(options: SolvingOptions) -> Row:
    """All of the options that decides how samples are read."""
    return options.model_dump(mode="json", include={"stop_rule", "loop_share"})


def without_samples(rows: list[Row]) -> Failed:
    """The outcome of a problem that has no sample, by the first of its rows that says why."""
    faults = (not_whole(Completion.from_row(row)) for row in rows)
    return next(filter(None, faults), Failed("not_asked", "no sample was drawn"))


def unfinished(rows: list[Row]) -> Failed:
    """The outcome of a problem whose samples were not drawn to their end."""
    ended = next((row["error_kind"] for row in rows if row["kind"] == "end"), "unfinished")
    return Failed(ended, "not all samples of the problem were drawn; the next run goes on")


def decision_on(rule: StopRule, samples: list[Sample], reference: str | None) -> Decision | None:
    """The decision on samples; None for those of rounds that were not drawn to their end."""
    indices = {sample.index for sample in samples}
    if len(samples) not in rule.schedule or indices != set(range(len(samples))):
        return None
    return decide(rule, samples, reference)


def _votes_row(problem: Row, decision: Decision) -> Row:
    votes: Votes = decision.votes
    return {
        "problem_id": problem["problem_id"],
        "thread_id": problem["thread_id"],
        "mode": COT,
        "problem": problem["problem"],
        "extracted_answer": problem["expected_answer"],
        "majority_answer": votes.majority.answer if votes.majority else None,
        "agreement": votes.agreement,
        "votes_total": votes.total,
        "samples_drawn": votes.samples_drawn,
        "stop_reason": str(decision.stop_reason),
        "classes": [
            {"answer": each.answer, "votes": each.votes, "samples": list(each.samples)} for each in votes.classes
        ],
    }


def _sample_row(problem: Row, row: Row, completion: Completion, sample: Sample) -> Row:
    problem_id = problem["problem_id"]
    return {
        "solution_id": solution_id(problem_id, completion.call_key),
        "problem_id": problem_id,
        "thread_id": problem["thread_id"],
        "mode": COT,
        "sample_index": sample.index,
        "predicted_answer": sample.answer,
        "no_vote": sample.no_vote,
        "finish_reason": completion.finish_reason,
        "completion_tokens": completion.completion_tokens,
        "model": completion.model,
        "call_key": completion.call_key,
        "seed": row["seed"],
    }


def solution_id(problem_id: str, call_key: str) -> str:
    """Content id of a solution: the problem, and the call that it came of."""
    return content_id(problem_id, call_key)
