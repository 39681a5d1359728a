"""Easy problems whose answers are known, as a real model is asked to solve them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import yaml

from omr_kedro import tables
from omr_kedro.llm.calls import Prompt
from omr_kedro.shards import Recipe, Row, Shards, TableStore, content_id
from omr_kedro.solutions import equal_answers
from omr_kedro.solutions.answer_classes import equal_both_ways
from tests.support.project import ROOT

ANSWERS = {
    row["problem"]: row["answer"]
    for row in map(json.loads, Path(__file__).with_name("easy_problems.jsonl").read_text("utf-8").splitlines())
}
"""The known answer of each problem."""
CONF = ROOT / "conf/base"


def problem_rows() -> list[Row]:
    """Rows of the table of problems; every second one has its answer."""
    empty = dict.fromkeys(tables.PROBLEMS.names)
    return [
        {**empty, "problem_id": content_id(text), "thread_id": f"t{number}", "problem": text, "model": "by hand"}
        | {"expected_answer": None if number % 2 else answer}
        for number, (text, answer) in enumerate(ANSWERS.items())
    ]


def prompt(name: str) -> Prompt:
    """A prompt of the base environment."""
    return Prompt.from_mapping(name, yaml.safe_load((CONF / f"prompts/{name}.yml").read_text("utf-8")))


def saved(folder: Path, schema: pa.Schema, recipe: Recipe) -> Shards:
    """A table in a folder, with all columns that it has in a workspace."""
    store = TableStore(folder, "jsonl", schema)
    store.save(recipe)
    return store.shards()


def is_right(problem: str, answer: str | None) -> bool:
    """Whether an answer is the one that is known."""
    known = ANSWERS[problem]
    return answer is not None and equal_both_ways(known, answer, equal_answers)


def ids(rows: Iterable[Row], column: str) -> list[str]:
    """The ids in a column, sorted."""
    return sorted(row[column] for row in rows)


def show(title: str, figures: Iterable[tuple[str, str]]) -> None:
    """Print figures under a title, a line each."""
    print(f"\n{title}", *(f"  {name:20}{text}" for name, text in figures), sep="\n", flush=True)


def counted(words: Iterable[str]) -> str:
    """How often each word comes, the commonest first."""
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common()) or "none"
