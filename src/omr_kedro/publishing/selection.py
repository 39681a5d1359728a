"""Which solutions are trained on: filters, problems held out for RL, and draws over all of them.

A row takes some forty bytes of memory while it is decided on, so that a million take forty megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from omr_kedro.publishing.filters import COLUMNS, Evidence, Filters, first_reasons, left_out
from omr_kedro.publishing.ids import keys_of
from omr_kedro.publishing.publication import Published
from omr_kedro.shards.recipes import Row

HELD_OUT = "held_out_for_rl"
_RL = "rl"


def held_out(problem_ids: pa.Array, share: float) -> npt.NDArray[np.bool_]:
    """Whether problems are kept for RL and out of all SFT: by a hash, so that they stay so when others are added.

    Args:
        problem_ids: ids of problems.
        share: of all problems, 0 to 1. A larger share holds out these and more.
    """
    return keys_of(problem_ids, _RL) < np.uint64(min(share * 2.0**64, 2.0**64 - 2**11))


def select(published: Sequence[Published], filters: Filters, evidence: Evidence, rl_share: float) -> Iterator[Row]:
    """A row for each published solution: whether it is trained on, or why not (`tables.SFT_SELECTION`)."""
    reasons = _reasons(published, filters, evidence, rl_share)
    begin = 0
    for batch in _batches(published, ["solution_id", "problem_id", "inference_mode"]):
        for row, reason in zip(batch.to_pylist(), reasons[begin : begin + len(batch)], strict=True):
            yield {**row, "outcome": "kept" if reason is None else "dropped", "reason": reason}
        begin += len(batch)


def is_usefulness_known(published: Iterable[Published]) -> bool:
    """Whether it is of any solution."""
    return any(batch.column(0).null_count < len(batch) for batch in _batches(published, ["useful"]))


def _batches(published: Iterable[Published], columns: list[str]) -> Iterator[pa.RecordBatch]:
    return (batch for config in published for batch in config.batches(columns))


def _reasons(
    published: Sequence[Published], filters: Filters, evidence: Evidence, rl_share: float
) -> npt.NDArray[np.object_]:
    """The reason of each row, None for one that is kept."""
    parts = [_facts(batch, filters, evidence, rl_share) for batch in _batches(published, COLUMNS)]
    if not parts:
        return np.empty(0, object)
    facts = pd.concat(parts, ignore_index=True)
    _by_problem(facts, filters)
    if filters.num_output_samples is not None:
        _leave_out(facts, ~_drawn(facts, filters.num_output_samples, filters.downsampling), "not_drawn")
    reasons = facts["reason"].to_numpy(object, copy=True)
    reasons[facts["reason"].isna().to_numpy()] = None  # pandas has numbers that are none (NaN) for what is missing
    return reasons


def _facts(batch: pa.RecordBatch, filters: Filters, evidence: Evidence, rl_share: float) -> pd.DataFrame:
    ids = batch.column("problem_id")
    reasons = first_reasons(left_out(batch, filters, evidence), len(batch))
    reasons[held_out(ids, rl_share) & (reasons == None)] = HELD_OUT  # noqa: E711 (by element)
    tokens = batch.column("completion_tokens").fill_null(0).to_numpy(zero_copy_only=False)
    calls = batch.column("tool_calls").fill_null(0).to_numpy(zero_copy_only=False)
    return pd.DataFrame(
        {
            "reason": pd.Series(reasons, dtype=object),
            "problem": keys_of(ids),
            "text": keys_of(batch.column("generated_solution").fill_null("")) if filters.deduplicate else 0,
            "order": keys_of(batch.column("solution_id"), str(filters.seed)),
            "tokens": tokens,
            "code": calls > 0,
        }
    )


def _by_problem(facts: pd.DataFrame, filters: Filters) -> None:
    """Leave out what the other solutions of a problem make superfluous."""
    if filters.deduplicate:
        kept = _kept(facts)
        _leave_out(facts, kept.index[kept.duplicated(["problem", "text"])], "duplicate")
    if filters.code_text_filter not in {None, "all"}:
        _leave_out(facts, _other_kind(_kept(facts), filters.code_text_filter or ""), "code_text_filter")
    if filters.shortest:
        kept = _kept(facts).sort_values(["tokens", "order"])
        _leave_out(facts, kept.index[kept.groupby("problem").cumcount() >= filters.shortest], "longer")
    if filters.most_per_problem:
        kept = _kept(facts).sort_values("order")
        _leave_out(facts, kept.index[kept.groupby("problem").cumcount() >= filters.most_per_problem], "above_cap")


def _kept(facts: pd.DataFrame) -> pd.DataFrame:
    return facts[facts["reason"].isna()]


def _leave_out(facts: pd.DataFrame, rows: Any, reason: str) -> None:
    facts.loc[rows, "reason"] = reason


def _other_kind(kept: pd.DataFrame, wanted: str) -> pd.Index:
    """Rows of the kind, with code or without, that their problem does without."""
    with_code = kept.groupby("problem")["code"].transform("sum")
    without = kept.groupby("problem")["code"].transform("size") - with_code
    if wanted == "any_code":
        code = with_code > 0
    else:
        code = with_code >= without if wanted == "majority_code" else with_code > without
    return kept.index[kept["code"] != code]


def _drawn(facts: pd.DataFrame, count: int, how: str) -> pd.Series[bool]:
    """Whether a row is among `count` that are drawn, or is out already."""
    kept = _kept(facts).sort_values("order")
    if how == "fair":  # the first of each problem, then the second of each, and so on
        kept = kept.assign(turn=kept.groupby("problem").cumcount()).sort_values(["turn", "order"])
    drawn = facts["reason"].notna()
    drawn[kept.index[:count]] = True
    return drawn
