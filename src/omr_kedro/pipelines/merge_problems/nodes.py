"""Problems from both branches in one table, with their type."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from omr_kedro.pipelines.llm_stage import Dropped, not_kept_row
from omr_kedro.shards import MappedShards, Row, Shard, Shards, map_shards


def merge_problems(answered: Shards, converted: Shards) -> tuple[MappedShards, MappedShards]:
    """Extracted problems, then converted proofs; a statement that a thread gives twice counts once.

    Returns:
        The merged table (`tables.PROBLEMS`), and the second copies.
    """
    return map_shards(_merged, answered, converted), map_shards(_copies, answered, converted)


def _merged(answered: Shard, converted: Shard) -> Iterator[Row]:
    return ({**row, "problem_type": problem_type(row)} for row, first in _marked(answered, converted) if first)


def _copies(answered: Shard, converted: Shard) -> Iterator[Row]:
    outcome = Dropped("duplicate_problem", "the thread gives the same statement twice")
    for row, first in _marked(answered, converted):
        if not first:
            yield not_kept_row("merge_problems", row["problem_id"], row, outcome)


def _marked(answered: Shard, converted: Shard) -> Iterator[tuple[Row, bool]]:
    seen = set[str]()
    for row in chain(answered.rows(), converted.rows()):
        yield row, row["problem_id"] not in seen
        seen.add(row["problem_id"])


def problem_type(row: Row) -> str:
    """The published dataset's name for where the problem and its answer come from."""
    if row["original_problem"] is not None:
        return "converted_proof"
    return "no_answer_extracted" if row["expected_answer"] is None else "has_answer_extracted"
