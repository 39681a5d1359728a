"""Questions made of proofs are asked about as all other problems are: multiple choice, yes/no, invalid."""

from __future__ import annotations

from dataclasses import replace

from omr_kedro.llm.calls import CallPlan, Model, Prompt
from omr_kedro.pipelines.classify_problems.nodes import ask_label, settle_label
from omr_kedro.pipelines.llm_stage import CallOptions
from omr_kedro.shards import Shards, SiblingShards


def ask_converted_label(problems: Shards, prompt: Prompt, model: Model, options: CallOptions) -> CallPlan:
    """As `ask_label`, under a name of its own: progress, spending and estimates tell the two apart."""
    return replace(
        ask_label(problems, prompt, model, options), name=prompt.name.replace("classify_", "classify_converted_")
    )


def read_converted_mcq_label(
    problems: Shards, completions: Shards, prompt: Prompt, options: CallOptions
) -> tuple[SiblingShards, ...]:
    """Questions that are not multiple choice, and the rest."""
    return settle_label("classify_converted_mcq", "mcq", problems, completions, prompt, options)


def read_converted_binary_label(
    problems: Shards, completions: Shards, prompt: Prompt, options: CallOptions
) -> tuple[SiblingShards, ...]:
    """Questions that are not answered by yes or no, and the rest."""
    return settle_label("classify_converted_binary", "binary", problems, completions, prompt, options)


def read_converted_invalid_label(
    problems: Shards, completions: Shards, prompt: Prompt, options: CallOptions
) -> tuple[SiblingShards, ...]:
    """Questions that can be answered as they stand, and the rest."""
    return settle_label("classify_converted_invalid", "invalid", problems, completions, prompt, options)
