"""Calls of a workspace, counted: what all its runs have paid for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import pandas as pd

from omr_kedro.shards import Row, Shards

Cost = Callable[[str, float, float], float | None]
"""Money for tokens of prompts and of replies, by the model's entry in the catalog; None where no price is known."""


class AskedStage(NamedTuple):
    """A stage that asks a model."""

    name: str
    completions: str
    """Table of its calls."""
    model: str
    """Entry of its model in the catalog, by which prices are named."""


@dataclass
class _Count:
    calls: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


def count_calls(stages: Sequence[AskedStage], tables: Mapping[str, Shards], cost: Cost) -> pd.DataFrame:
    """Calls and tokens by stage, model and prompt.

    Returns:
        Columns `stage`, `model`, `prompt_hash`, `calls`, `failed`, `prompt_tokens`, `completion_tokens`, as the servers
        count them, and `money`: None where no price is known. A call that several rows share was paid for once.
    """
    counted: dict[tuple[AskedStage, str, str], _Count] = defaultdict(_Count)
    for stage in stages:
        for row in _calls(tables[stage.completions]):
            count = counted[stage, row["model"], row["prompt_hash"]]
            count.calls += 1
            count.failed += bool(row["error_kind"])
            count.prompt_tokens += row["prompt_tokens"] or 0
            count.completion_tokens += row["completion_tokens"] or 0
    rows = [
        {
            "stage": stage.name,
            "model": model,
            "prompt_hash": prompt,
            **asdict(count),
            "money": cost(stage.model, count.prompt_tokens, count.completion_tokens),
        }
        for (stage, model, prompt), count in counted.items()
    ]
    return pd.DataFrame(rows, columns=["stage", "model", "prompt_hash", *asdict(_Count()), "money"])


def _calls(completions: Shards) -> Iterator[Row]:
    """The calls of a table, each once; not code that was run, nor the ends of episodes."""
    for shard in completions.values():
        seen = set[str]()  # rows that share a call lie in one shard
        for row in shard.rows():
            if row.get("kind") in (None, "model") and row["call_key"] not in seen:
                seen.add(row["call_key"])
                yield row
