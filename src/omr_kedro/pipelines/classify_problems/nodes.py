"""Four questions about each problem, each asked about what the former left: proof, multiple choice, yes/no, invalid."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from omr_kedro.llm import Asking, ChatModel, Completion, Prompt, Request
from omr_kedro.pipelines.llm_stage import (
    CallOptions,
    Dropped,
    Failed,
    Kept,
    Outcome,
    ask,
    request,
    settle,
    sole_reply,
    unreadable,
)
from omr_kedro.shards import Derived, Row, Shard, Shards
from omr_kedro.text import Unreadable, parse_label

LABELS = ("proof", "mcq", "binary", "invalid")
"""In the order of asking. Proofs are converted; the other three are dropped."""


def ask_label(problems: Shards, prompt: Prompt, model: ChatModel, options: CallOptions) -> Asking:
    """Ask for a label of each problem, out of the prompt's choices."""

    def requests(problems: Shard) -> Iterator[Request]:
        for row in problems.rows():
            yield request(row["problem_id"], prompt, options, {"problem": row["problem"]})

    return ask(prompt.name, requests, [problems], prompt, model, options)


def read_proof_label(problems: Shards, completions: Shards, prompt: Prompt) -> tuple[Derived, ...]:
    """Proofs, other problems, and problems without a clear label."""
    read = partial(sort_by_label, "proof", prompt.choices, "proofs")
    return settle("classify_proof", read, problems, completions, tables=("proofs", "kept"))


def read_mcq_label(problems: Shards, completions: Shards, prompt: Prompt) -> tuple[Derived, ...]:
    """Problems that are not multiple-choice questions, and the rest."""
    return settle("classify_mcq", partial(sort_by_label, "mcq", prompt.choices, None), problems, completions)


def read_binary_label(problems: Shards, completions: Shards, prompt: Prompt) -> tuple[Derived, ...]:
    """Problems that are not answered by yes or no, and the rest."""
    return settle("classify_binary", partial(sort_by_label, "binary", prompt.choices, None), problems, completions)


def read_invalid_label(problems: Shards, completions: Shards, prompt: Prompt) -> tuple[Derived, ...]:
    """Problems that can be solved as they stand, and the rest."""
    return settle("classify_invalid", partial(sort_by_label, "invalid", prompt.choices, None), problems, completions)


def sort_by_label(
    label: str, choices: tuple[str, ...], table: str | None, problem: Row, completions: list[Completion]
) -> Outcome:
    """The outcome of one problem: labelled rows go to `table`, or are dropped where that is None."""
    reply = sole_reply(completions)
    if isinstance(reply, Failed):
        return reply
    found = parse_label(reply, choices)
    if isinstance(found, Unreadable):
        return unreadable(found)
    if found != label:
        return Kept([problem])
    return Kept([problem], to=table) if table else Dropped(label)
