"""Rows of tables of solutions, and what is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from omr_kedro import tables
from omr_kedro.publishing.publication import Publication, Published
from omr_kedro.shards import Row, Shards, TableStore
from tests.support.tables import given


def solution(number: int, problem: str = "p", **more: Any) -> Row:
    """A right solution, without summary."""
    return {
        "solution_id": f"{problem}-{number}",
        "problem_id": problem,
        "thread_id": f"thread of {problem}",
        "problem": f"How many, {problem}?",
        "expected_answer": "7",
        "answer_source": "extracted",
        "suspect": False,
        "problem_type": "has_answer_extracted",
        "problem_source": "forum",
        "mode": "cot",
        "generation_model": "model",
        "sampling": "{}",
        "sample_index": number,
        "reasoning": f"Think {number}.",
        "solution": "So it is $\\boxed{7}$.",
        "predicted_answer": "7",
        "verdict": "correct",
        "stop_reason": "correct",
        "pass_rate": 0.5,
        "completion_tokens": 100 + number,
        "finish_reason": "stop",
        "call_key": f"call {number}",
        **more,
    }


def rejected(number: int, reason: str = "incorrect", problem: str = "p", **more: Any) -> Row:
    """A sample that is no solution."""
    verdict = reason if reason in {"incorrect", "undecided"} else "undecided"
    row = solution(number, problem, reasoning=f"Guess {number}.", predicted_answer="8")
    return {**row, "verdict": verdict, "outcome": "dropped", "reason": reason, **more}


def table(folder: Path, rows: Iterable[Row], schema: pa.Schema = tables.SOLUTIONS, shards: int = 2) -> Shards:
    """The rows as a table of Parquet files, dealt in turn."""
    store = TableStore(folder, "parquet", schema)
    store.save(given(rows, shards))
    return store.shards()


def rows_of(published: Published | Publication | Iterable[pa.RecordBatch]) -> list[Row]:
    """All rows."""
    return [row for batch in _batches(published) for row in batch.to_pylist()]


def _batches(published: Published | Publication | Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    if isinstance(published, Published | Publication):
        return iter(published.batches())
    return iter(published)


CHAT: list[dict[str, Any]] = [
    {"role": "user", "content": "How many?"},
    {
        "role": "assistant",
        "content": None,
        "reasoning": "Count.",
        "tool_calls": [
            {"id": "call_0", "type": "function", "function": {"name": "python", "arguments": '{"code": "print(7)"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_0", "content": "7"},
    {"role": "assistant", "content": "$\\boxed{7}$"},
]


def with_code(number: int, problem: str = "p", **more: Any) -> Row:
    """A right solution that ran code."""
    return {
        **solution(number, problem, solution_id=f"{problem}-code-{number}", mode="tir", reasoning=None),
        "solution": f"<think>\nCount {number}.\n<tool_call>\nprint(7)\n</tool_call>\n</think>\n$\\boxed{{7}}$",
        "messages": orjson.dumps(CHAT).decode(),
        "output_tokens": 3,
        "executions": 2,
        "execution_errors": 1,
        "execution_timeouts": 0,
        "void_turns": 1,
        **more,
    }
