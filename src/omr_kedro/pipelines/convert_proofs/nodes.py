"""A proof becomes a question whose answer can be checked."""

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
from omr_kedro.text import parse_conversion


class ConversionOptions(CallOptions):
    """As for every stage, and whether there are to be converted proofs at all."""

    enabled: bool = True
    """OpenMathReasoning's authors left converted proofs out of later data for their quality. Switched off, no call is
    made, and every proof is dropped as `proofs_switched_off`."""


def ask_convert_proofs(proofs: Shards, prompt: Prompt, model: Model, options: ConversionOptions) -> CallPlan:
    """Ask for a question that is as hard as the proof."""

    def requests(proofs: Shard) -> Iterator[Request]:
        for row in proofs.rows() if options.enabled else ():
            yield request(row["problem_id"], prompt, options, {"problem": row["problem"]})

    return ask("convert_proofs", requests, [proofs], prompt, model, options)


def read_convert_proofs(proofs: Shards, completions: Shards, options: ConversionOptions) -> tuple[SiblingShards, ...]:
    """Questions made of proofs, and proofs that gave none."""
    read = read_conversion if options.enabled else switched_off
    limit = options.max_failed_share
    return settle("convert_proofs", read, proofs, completions, max_failed_share=limit, settings=options.enabled)


def switched_off(proof: Row, completions: list[Completion]) -> Outcome:
    """The outcome of every proof when nothing is made of them."""
    del proof, completions
    return Dropped("proofs_switched_off", "convert_proofs.enabled is false")


def read_conversion(proof: Row, completions: list[Completion]) -> Outcome:
    """The question made of one proof; a row of its own, that names the proof."""
    statement = read_sole(completions, parse_conversion)
    if isinstance(statement, Failed):
        return statement
    if statement is None:
        return Dropped("not_convertible")
    converted = {
        **proof,
        "problem_id": content_id(proof["thread_id"], statement),
        "problem": statement,
        "original_problem": proof["problem"],
        "original_problem_id": proof["problem_id"],
        "model": completions[0].model,
    }
    return Kept([converted])
