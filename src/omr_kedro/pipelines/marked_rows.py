"""Marks of gold rows: a stage's own reading of the replies, beside the outcome that is gold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from omr_kedro.exam import Mark, Marked
from omr_kedro.exam.marks import unparsed
from omr_kedro.llm.calls import Completion
from omr_kedro.pipelines.llm_stage import Failed, Outcome
from omr_kedro.shards import MappedShards, Row, Shard, Shards, map_shards, unless_crashed

Read = Callable[[Row, list[Row]], Marked]
"""The mark of one gold row, from its calls in the order of their samples."""
_REPLY_CHARS = 20_000


def completions_of(calls: Sequence[Row]) -> list[Completion]:
    """The calls as values."""
    return [Completion.from_row(call) for call in calls]


def unless_failed(outcome: Outcome, marked: Marked) -> Marked:
    """The mark, or that nothing could be read where the stage says so."""
    if isinstance(outcome, Failed):
        return unparsed(marked.gold_class, marked.gold, outcome.reason)
    return marked


def mark_rows(stage: str, read: Read, gold: Shards, completions: Shards, by: object = None) -> MappedShards:
    """The marks of a stage's gold rows (`tables.EXAM_MARKS`), each with what its calls took.

    Args:
        stage: its name.
        read: the mark of one gold row, from its calls in the order of their samples.
        gold: the gold rows.
        completions: the calls; those about other rows are passed over.
        by: whatever else decides the marks.
    """

    def rows(gold: Shard, completions: Shard) -> Iterator[Row]:
        known = {row["row_id"]: row for row in gold.rows()}
        calls: dict[str, list[Row]] = {row_id: [] for row_id in known}
        for call in completions.rows() if known else ():
            if call["row_id"] in known and call["kind"] in (None, "model"):
                calls[call["row_id"]].append(call)
        for row_id, row in known.items():
            about = sorted(calls[row_id], key=lambda call: (call["part"], call["sample_index"]))
            yield _mark_row(stage, row, about, unless_crashed(_crashed, read, row, about))

    return map_shards(rows, gold, completions, by=[stage, by])


def _crashed(error: str) -> Marked:
    return Marked(Mark.UNPARSED, "reading_crashed", "", reason=error)


def _mark_row(stage: str, row: Row, calls: Sequence[Row], marked: Marked) -> Row:
    first: Mapping[str, Any] = calls[0] if calls else {}
    return {
        "stage": stage,
        "row_id": row["row_id"],
        "mark": str(marked.mark),
        "trap": row["trap"],
        "gold_class": marked.gold_class,
        "given_class": marked.given_class,
        "gold": marked.gold,
        "given": marked.given,
        "reason": marked.reason,
        "said": ", ".join(marked.said) or None,
        "why": row["why"],
        "reply": "\n\n".join(call["text"] or call["error"] or "" for call in calls)[:_REPLY_CHARS],
        "model": first.get("asked_model") or first.get("model"),
        "prompt_hash": first.get("prompt_hash"),
        "calls": len(calls),
        "prompt_tokens": sum(call["prompt_tokens"] or 0 for call in calls),
        "completion_tokens": sum(call["completion_tokens"] or 0 for call in calls),
        "seconds": sum(call["latency_s"] or 0.0 for call in calls),
    }
