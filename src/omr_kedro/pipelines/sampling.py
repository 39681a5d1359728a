"""Samples of a problem, as every way to solve it draws and counts them: in rounds, until a rule ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from pydantic import Field

from omr_kedro.llm.calls import Completion, Steps
from omr_kedro.pipelines.llm_stage import CallOptions, Failed, not_whole
from omr_kedro.shards import Row, Scratch, Shard, Shards, SiblingShards, content_id, join, map_joined
from omr_kedro.solutions import Decision, Mode, Sample, StopRule, Votes, decide

LOOPING = "looping"
"""Why a sample that says the same again and again has no vote."""


class SamplingOptions(CallOptions):
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


async def draw_rounds(steps: Steps, row: Row, rule: StopRule, sample: Callable[[int], Awaitable[Sample]]) -> None:
    """Draw samples of one problem, whole rounds at a time, until the rule ends it; `sample` draws one by its index."""
    samples: list[Sample] = []
    while True:
        samples += await steps.together(sample(index) for index in rule.next_round(len(samples)))
        if decide(rule, samples, row["expected_answer"]):
            return


def decision_on(rule: StopRule, samples: list[Sample], reference: str | None) -> Decision | None:
    """The decision on samples; None for those of rounds that were not drawn to their end."""
    indices = {sample.index for sample in samples}
    if len(samples) not in rule.schedule or indices != set(range(len(samples))):
        return None
    return decide(rule, samples, reference)


def without_samples(rows: list[Row]) -> Failed:
    """The outcome of a problem that has no sample, by the first of its rows that says why: one that failed, if any."""
    completions = sorted(map(Completion.from_row, rows), key=lambda completion: completion.error_kind is None)
    faults = map(not_whole, completions)
    return next(filter(None, faults), Failed("not_asked", "no sample was drawn"))


def unfinished(rows: list[Row]) -> Failed:
    """The outcome of a problem whose samples were not drawn to their end."""
    ended = next((row["error_kind"] for row in rows if row["kind"] == "end"), "unfinished")
    return Failed(ended, "not all samples of the problem were drawn; the next run goes on")


def sample_row(problem: Row, first: Row, sample: Sample, mode: Mode) -> Row:
    """The columns of a sample (`tables.SAMPLES`) that follow from the row of its first reply, by which it is named."""
    return {
        "solution_id": content_id(problem["problem_id"], first["call_key"]),
        "problem_id": problem["problem_id"],
        "thread_id": problem["thread_id"],
        "mode": str(mode),
        "sample_index": sample.index,
        "predicted_answer": sample.answer,
        "no_vote": sample.no_vote,
        "model": first["model"],
        "seed": first["seed"],
        "prompt_hash": first["prompt_hash"],
        "call_key": first["call_key"],
    }


def count_votes(problems: Shards, samples: Shards, rule: StopRule, mode: Mode) -> SiblingShards:
    """The votes of each problem that has samples, and why no more were drawn (`tables.VOTES`)."""

    def counted(scratch: Scratch, problems: Shard, samples: Shard) -> Iterator[Row]:
        for problem, drawn in join(problems, "problem_id", samples, "problem_id", scratch):
            if drawn:
                voters = [Sample(row["sample_index"], row["predicted_answer"], row["no_vote"]) for row in drawn]
                decision = decide(rule, voters, problem["expected_answer"])
                assert decision, "only problems whose samples were drawn to their end have any"  # noqa: S101
                yield _votes_row(problem, decision, mode)

    return map_joined(counted, problems, samples, by=[str(mode), rule.model_dump(mode="json")])


def _votes_row(problem: Row, decision: Decision, mode: Mode) -> Row:
    votes: Votes = decision.votes
    return {
        "problem_id": problem["problem_id"],
        "thread_id": problem["thread_id"],
        "mode": str(mode),
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
