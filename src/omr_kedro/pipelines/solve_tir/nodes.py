"""Samples of tool-integrated solutions: the model writes Python between its thoughts, a sandbox runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
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
from omr_kedro.pipelines.llm_stage import ask, not_whole, request
from omr_kedro.pipelines.solve_cot.nodes import LOOPING, SolvingOptions
from omr_kedro.pipelines.solve_tir.conversation import (
    LENGTH,
    STOP,
    Conversation,
    Limits,
    chat_tools,
    token_exact,
)
from omr_kedro.shards import Row, Shard, Shards
from omr_kedro.solutions import Sample, decide, is_looping, read_sample
from omr_kedro.solutions.code_blocks import TAGS

TIR = "tir"
"""The mode of these solutions, as `inference_mode` of the published dataset has it."""


class ExecutionOptions(BaseModel):
    """How much code a sample may have run."""

    model_config = ConfigDict(extra="forbid")

    most: int = Field(default=8, ge=1)
    """Pieces of code of a sample at most."""
    drawn: bool = False
    """Draw the number from 1 to `most` for each sample, by a hash of problem and sample, and tell it in the prompt."""
    notices: bool = False
    """Tell the model after each output how many are left."""


class ToolOptions(SolvingOptions):
    """How solutions with code are sampled."""

    conversation: Literal["token_exact", "chat_tools"] = "token_exact"
    """`token_exact` for servers of one's own, `chat_tools` for hosted ones that know tools."""
    tags: Literal["fenced", "tool_call"] = "fenced"
    """How the model marks its code in its text; of `token_exact`."""
    executions: ExecutionOptions = ExecutionOptions()


def executions_of(row_id: str, sample_index: int, options: ExecutionOptions) -> int:
    """Pieces of code that a sample may have run."""
    if not options.drawn:
        return options.most
    drawn = hashlib.sha256(f"{row_id}/{sample_index}".encode()).digest()
    return 1 + int.from_bytes(drawn[:8]) % options.most


def ask_solve_tir(
    problems: Shards, prompt: Prompt, model: Model, sandbox: CodeRunner, options: ToolOptions
) -> CallPlan:
    """Draw samples of each problem in rounds, each a conversation with the sandbox, until the rule ends it."""

    def episodes(problems: Shard) -> Iterator[Episode]:
        for row in problems.rows():
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
    samples: list[Sample] = []
    while True:
        upcoming = options.stop_rule.next_round(len(samples))
        samples += await steps.together(_sample(steps, row, prompt, options, index) for index in upcoming)
        if decide(options.stop_rule, samples, row["expected_answer"]):
            return


async def _sample(steps: Steps, row: Row, prompt: Prompt, options: ToolOptions, index: int) -> Sample:
    talk = await converse(steps, row, prompt, options, index)
    return talk if isinstance(talk, Sample) else sample_of(index, talk, options.loop_share)


async def converse(steps: Steps, row: Row, prompt: Prompt, options: ToolOptions, index: int) -> Conversation | Sample:
    """The conversation of one sample; the sample without a vote where a step of it failed for good."""
    first = first_request(row, prompt, options, index)
    limits = Limits(
        options.max_tokens, executions_of(row["problem_id"], index, options.executions), options.executions.notices
    )
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
    if any(is_looping(turn.completion.text, loop_share) for turn in talk.turns):
        return Sample(index, None, LOOPING)
    return read_sample(index, last.text)


def conversations(problem: Row, rows: list[Row], prompt: Prompt, options: ToolOptions) -> dict[int, Conversation]:
    """The conversations of a problem's samples, by sample index, as their rows tell them; broken ones are left out."""
    found = {}
    steps = RecordedSteps(row for row in rows if row["kind"] != "end")
    for index in sorted({row["sample_index"] for row in rows if row["kind"] == "model"}):
        try:
            talk = played(converse(steps, problem, prompt, options, index))
        except NotRecordedError:
            continue
        if isinstance(talk, Conversation):
            found[index] = talk
    return found
