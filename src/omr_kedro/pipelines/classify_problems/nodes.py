"""Four questions about each problem, each asked about what the former left: proof, multiple choice, yes/no, invalid."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

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
from omr_kedro.shards import Row, Shard, Shards, SiblingShards
from omr_kedro.text import parse_label

LABELS = ("proof", "mcq", "binary", "invalid")
"""In the order of asking. Proofs are converted; the other three are dropped."""


def ask_label(problems: Shards, prompt: Prompt, model: Model, options: CallOptions) -> CallPlan:
    """Ask for a label of each problem, out of the prompt's choices."""

    def requests(problems: Shard) -> Iterator[Request]:
        for row in problems.rows():
            yield request(row["problem_id"], prompt, options, {"problem": row["problem"]})

    return ask(prompt.name, requests, [problems], prompt, model, options)


def read_proof_label(
    problems: Shards, completions: Shards, prompt: Prompt, options: CallOptions
) -> tuple[SiblingShards, ...]:
    """Proofs, other problems, and problems without a clear label."""
    return settle_label("classify_proof", "proof", problems, completions, prompt, options, labelled="proofs")


def read_mcq_label(
    problems: Shards, completions: Shards, prompt: Prompt, options: CallOptions
) -> tuple[SiblingShards, ...]:
    """Problems that are not multiple-choice questions, and the rest."""
    return settle_label("classify_mcq", "mcq", problems, completions, prompt, options)


def read_binary_label(
    problems: Shards, completions: Shards, prompt: Prompt, options: CallOptions
) -> tuple[SiblingShards, ...]:
    """Problems that are not answered by yes or no, and the rest."""
    return settle_label("classify_binary", "binary", problems, completions, prompt, options)


def read_invalid_label(
    problems: Shards, completions: Shards, prompt: Prompt, options: CallOptions
) -> tuple[SiblingShards, ...]:
    """Problems that can be solved as they stand, and the rest."""
    return settle_label("classify_invalid", "invalid", problems, completions, prompt, options)


def settle_label(
    stage: str,
    label: str,
    problems: Shards,
    completions: Shards,
    prompt: Prompt,
    options: CallOptions,
    labelled: str | None = None,
) -> tuple[SiblingShards, ...]:
    """Sort problems by one label.

    Args:
        stage: stands in the table of rows that are not kept.
        label: the choice that takes a problem out of the way.
        problems: what was asked about.
        completions: the replies.
        prompt: offered the choices.
        options: says how many rows may fail.
        labelled: name of the table that labelled problems go to; they are dropped where it is None.

    Returns:
        The table of labelled problems if there is one, the others, then the rows that were dropped or failed.
    """
    read = partial(sort_by_label, label, prompt.choices, labelled)
    tables = [labelled, "kept"] if labelled else ["kept"]
    return settle(stage, read, problems, completions, tables=tables, max_failed_share=options.max_failed_share)


def sort_by_label(
    label: str, choices: tuple[str, ...], table: str | None, problem: Row, completions: list[Completion]
) -> Outcome:
    """The outcome of one problem: labelled rows go to `table`, or are dropped where that is None."""
    found = read_sole(completions, partial(parse_label, choices=choices))
    if isinstance(found, Failed):
        return found
    if found != label:
        return Kept([problem])
    return Kept([problem], to=table) if table else Dropped(label)
