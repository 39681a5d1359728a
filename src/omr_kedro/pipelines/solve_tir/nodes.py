"""Samples of tool-integrated solutions: the model writes Python between its thoughts, a sandbox runs it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from omr_kedro.llm.calls import (
    CallPlan,
    CodeRunner,
    Episode,
    EpisodeLimits,
    EpisodeOptions,
    Model,
    Prompt,
    Request,
    StepFailedError,
    Steps,
)
from omr_kedro.llm.calls.recorded import NotRecordedError, RecordedSteps, played
from omr_kedro.pipelines.llm_stage import Dropped, Kept, Outcome, ask, not_whole, request, settle
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
from omr_kedro.pipelines.solve_tir.conversation import LENGTH, STOP, Conversation, Limits, chat_tools, token_exact
from omr_kedro.shards import Row, Scratch, Shard, Shards, SiblingShards, join, map_joined
from omr_kedro.solutions import Mode, Sample, is_looping, read_sample
from omr_kedro.solutions.code_blocks import TAGS
from omr_kedro.solutions.fragments import Piece, void_turns
from omr_kedro.text import Unreadable, split_reasoning


class ExecutionOptions(BaseModel):
    """How much code a sample may have run."""

    model_config = ConfigDict(extra="forbid")

    most: int = Field(default=8, ge=1)
    """Pieces of code of a sample at most."""
    drawn: bool = False
    """Draw the number from 1 to `most` for each sample, by a hash of problem and sample, and tell it in the prompt."""
    notices: bool = False
    """Tell the model after each output how many are left."""


class ToolOptions(SamplingOptions):
    """How solutions with code are sampled."""

    enabled: bool = True
    """Switched off, no call is made, and every problem is dropped as `switched_off`: where no code can be run, say."""

    conversation: Literal["token_exact", "chat_tools"] = "token_exact"
    """`token_exact` for servers of one's own, `chat_tools` for hosted ones that know tools."""
    tags: Literal["fenced", "tool_call"] = "fenced"
    """How the model marks its code in its text; of `token_exact`."""
    executions: ExecutionOptions = ExecutionOptions()
    tokens_per_call: int | None = Field(default=4096, gt=0)
    """Tokens of one call at most; of `token_exact`. A longer reply is asked for in parts, so that one that time cuts
    goes on later from its last part; None asks for all of it at once."""


def executions_of(row_id: str, sample_index: int, options: ExecutionOptions) -> int:
    """Pieces of code that a sample may have run."""
    if not options.drawn:
        return options.most
    drawn = hashlib.sha256(f"{row_id}/{sample_index}".encode()).digest()
    return 1 + int.from_bytes(drawn[:8]) % options.most


def take_reference_answers(problems: Shards, references: Shards) -> SiblingShards:
    """The problems with the answers that chains of thought have decided, where they have (`tables.PROBLEMS`)."""

    def taken(scratch: Scratch, problems: Shard, references: Shard) -> Iterator[Row]:
        for problem, found in join(problems, "problem_id", references, "problem_id", scratch):
            decided = (row["expected_answer"] for row in found if row["expected_answer"] is not None)
            yield {**problem, "expected_answer": next(decided, problem["expected_answer"])}

    return map_joined(taken, problems, references)


def ask_solve_tir(
    problems: Shards, prompt: Prompt, model: Model, sandbox: CodeRunner, options: ToolOptions
) -> CallPlan:
    """Draw samples of each problem in rounds, each a conversation with the sandbox, until the rule ends it."""

    def episodes(problems: Shard) -> Iterator[Episode]:
        for row in problems.rows() if options.enabled else ():
            yield Episode(row["problem_id"], partial(draw, row=row, prompt=prompt, options=options), prompt.hash)

    return ask(
        "solve_tir",
        episodes,
        [problems],
        prompt,
        model,
        options,
        calls_per_row=2 * options.stop_rule.usual_draws,
        episodes=EpisodeOptions(sandbox, EpisodeLimits(seconds=options.max_seconds)),
    )


async def draw(steps: Steps, row: Row, prompt: Prompt, options: ToolOptions) -> None:
    """Draw the samples of one problem, round by round."""
    await draw_rounds(steps, row, options.stop_rule, lambda index: _sample(steps, row, prompt, options, index))


async def _sample(steps: Steps, row: Row, prompt: Prompt, options: ToolOptions, index: int) -> Sample:
    talk = await converse(steps, row, prompt, options, index)
    return talk if isinstance(talk, Sample) else sample_of(index, talk, options.loop_share)


async def converse(steps: Steps, row: Row, prompt: Prompt, options: ToolOptions, index: int) -> Conversation | Sample:
    """The conversation of one sample; the sample without a vote where a step of it failed for good."""
    first = first_request(row, prompt, options, index)
    executions = executions_of(row["problem_id"], index, options.executions)
    limits = Limits(options.max_tokens, executions, options.executions.notices, options.tokens_per_call)
    try:
        if options.conversation == "chat_tools":
            return await chat_tools(steps, first, limits)
        return await token_exact(steps, first, TAGS[options.tags], limits)
    except StepFailedError as failed:
        return Sample(index, None, failed.completion.error_kind)


def first_request(row: Row, prompt: Prompt, options: ToolOptions, index: int) -> Request:
    """The first turn of a sample."""
    told = str(executions_of(row["problem_id"], index, options.executions))
    return request(row["problem_id"], prompt, options, {"problem": row["problem"], "executions": told}).sample(index)


def sample_of(index: int, talk: Conversation, loop_share: float) -> Sample:
    """A conversation as it votes: by the last box in the text after the last output."""
    last = talk.turns[-1].completion
    if talk.ended != STOP:
        fault = not_whole(last) if talk.ended == LENGTH else None
        return Sample(index, None, fault.reason if fault else talk.ended)
    if isinstance(reply := split_reasoning(last.text, last.reasoning), Unreadable):
        return Sample(index, None, reply.reason)
    said = (text for turn in talk.turns for text in (turn.completion.reasoning, turn.completion.text) if text)
    if any(is_looping(text, loop_share) for text in said):
        return Sample(index, None, LOOPING)
    return read_sample(index, last.text)


def read_solve_tir(
    problems: Shards, completions: Shards, prompt: Prompt, options: ToolOptions
) -> tuple[SiblingShards, ...]:
    """The samples of each problem (`tables.TIR_SAMPLES`), and the problems that have none, or not all."""
    return settle(
        "solve_tir",
        partial(read_samples, prompt=prompt, options=options),
        problems,
        completions,
        of=dict,
        max_failed_share=options.max_failed_share,
        settings=_settings(prompt, options),
    )


def read_samples(problem: Row, rows: list[Row], prompt: Prompt, options: ToolOptions) -> Outcome:
    """The samples of one problem, from its rows of the completions table."""
    if not options.enabled:
        return Dropped("switched_off", "solve_tir.enabled is false")
    found = samples_of(problem, rows, prompt, options)
    if not any(isinstance(talk, Conversation) for _, talk in found):
        return without_samples(rows)
    if decision_on(options.stop_rule, [sample for sample, _ in found], problem["expected_answer"]) is None:
        return unfinished(rows)
    first = _first_turns(rows)
    return Kept([_sample_row(problem, first[sample.index], sample, talk) for sample, talk in found])


def samples_of(
    problem: Row, rows: list[Row], prompt: Prompt, options: ToolOptions
) -> list[tuple[Sample, Conversation | None]]:
    """Each sample of a problem with its conversation, if it has one; the list ends where one is not all there."""
    steps = RecordedSteps(row for row in rows if row["kind"] != "end")
    found: list[tuple[Sample, Conversation | None]] = []
    for index in range(options.stop_rule.schedule[-1]):
        try:
            talk = played(converse(steps, problem, prompt, options, index))
        except NotRecordedError:
            break
        if isinstance(talk, Sample):
            found.append((talk, None))
        else:
            found.append((sample_of(index, talk, options.loop_share), talk))
    return found


def count_tir_votes(problems: Shards, samples: Shards, options: ToolOptions) -> SiblingShards:
    """The votes of each problem that has samples (`tables.VOTES`)."""
    return count_votes(problems, samples, options.stop_rule, Mode.TIR)


def list_tir_turns(problems: Shards, completions: Shards, prompt: Prompt, options: ToolOptions) -> SiblingShards:
    """The conversations in long form: each text, each piece of code and each output (`tables.TIR_TURNS`)."""

    def listed(scratch: Scratch, problems: Shard, completions: Shard) -> Iterator[Row]:
        for problem, rows in join(problems, "problem_id", completions, "row_id", scratch):
            first = _first_turns(rows)
            for sample, talk in samples_of(problem, rows, prompt, options):
                if talk:
                    yield from _turn_rows(sample_row(problem, first[sample.index], sample, Mode.TIR), talk)

    return map_joined(listed, problems, completions, by=_settings(prompt, options))


def _first_turns(rows: list[Row]) -> dict[int, Row]:
    """The row of the first reply of each sample, by whose call the sample is named."""
    return {row["sample_index"]: row for row in rows if row["kind"] == "model" and not row["part"] and not row["turn"]}


def _settings(prompt: Prompt, options: ToolOptions) -> Row:
    """All that decides how a conversation is read."""
    named = {
        "enabled", "stop_rule", "loop_share", "conversation", "tags", "executions", "max_tokens", "tokens_per_call"
    }  # fmt: skip
    return {**options.model_dump(mode="json", include=named), "prompt": prompt.hash}


def _sample_row(problem: Row, first: Row, sample: Sample, talk: Conversation | None) -> Row:
    last = talk.turns[-1].completion if talk else None
    statuses = Counter(run.status for run in talk.runs) if talk else Counter[str]()
    return {
        **sample_row(problem, first, sample, Mode.TIR),
        "finish_reason": last.finish_reason if last else None,
        "completion_tokens": talk.generated_tokens if talk else 0,
        "output_tokens": talk.output_tokens if talk else 0,
        "executions": talk.executions if talk else 0,
        "execution_errors": statuses["error"] + statuses["crashed"] + statuses["broken"],
        "execution_timeouts": statuses["timeout"] + statuses["killed"],
        "void_turns": void_turns(piece for piece, _ in _pieces(talk)) if talk else 0,
        "continued": talk.continued if talk else 0,
    }


def _turn_rows(sample: Row, talk: Conversation) -> Iterator[Row]:
    named = {name: sample[name] for name in ("solution_id", "problem_id", "thread_id")}
    for position, (piece, seconds) in enumerate(_pieces(talk)):
        yield {**named, "position": position, **asdict(piece), "seconds": seconds}


def _pieces(talk: Conversation) -> Iterator[tuple[Piece, float | None]]:
    """All that was said and run, in its order, with the seconds that code ran."""
    for number, turn in enumerate(talk.turns):
        if turn.completion.reasoning:
            yield Piece(number, "reasoning", turn.completion.reasoning), None
        if turn.completion.text:
            yield Piece(number, "text", turn.completion.text), None
        for run in turn.runs:
            yield Piece(number, "code", run.code), None
            yield Piece(number, "output", run.output, run.status), run.seconds
