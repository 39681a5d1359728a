"""Gold rows as rows of the tables that stages ask about, with the columns that they read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import orjson

from omr_kedro.exam.gold import ChoiceGold, GoldRow, JudgedGold, PairGold, SolutionGold
from omr_kedro.shards import Row, Shard, Shards, code_digest, content_id
from omr_kedro.text.boxes import final_box
from omr_kedro.text.final_answer import short_form
from omr_kedro.text.old_macros import without_old_macros

Gold = TypeVar("Gold", bound=GoldRow)


def gold_of(row: Row, kind: type[Gold]) -> Gold:
    """The gold row of a row of `tables.EXAM_ROWS`."""
    return kind.model_validate_json(row["gold"])


def shown(gold: Shards, view: Callable[[Row], Row]) -> Shards:
    """The gold rows as rows of a stage's table."""

    def seen(shard: Shard) -> Shard:
        digest = content_id(shard.digest, code_digest(view))
        return Shard(shard.id, digest, shard.count, lambda: map(view, shard.rows()))

    return Shards(map(seen, gold.values()), whole=gold.whole)


def as_thread(row: Row) -> Row:
    """A gold row of a post or a discussion, as a row of `tables.THREADS` that `prepare_threads` has made."""
    gold = orjson.loads(row["gold"])
    posts = {name: without_old_macros(gold.get(name, "")) for name in ("forum_post", "forum_discussions")}
    return {"thread_id": row["row_id"], **posts}


def as_problem(row: Row) -> Row:
    """A gold row of a problem, as a row of `tables.PROBLEMS`."""
    problem = orjson.loads(row["gold"])["problem"]
    return {"problem_id": row["row_id"], "thread_id": row["row_id"], "problem": problem}


def as_pair(row: Row) -> Row:
    """A gold row of a pair, as a row of `tables.SIMILAR`."""
    ids = dict.fromkeys(("problem_id", "thread_id", "benchmark_id"), row["row_id"])
    found = {"rank": 1, "found_by": "exam", "exact": False, "benchmark": "exam"}
    return {**ids, **found, "benchmark_problem": gold_of(row, PairGold).benchmark_problem}


def as_answer(row: Row) -> Row:
    """A gold row of two answers, as a row of `tables.ANSWERS` that no verdict has been given on."""
    gold = gold_of(row, JudgedGold)
    texts = {"problem": gold.problem, "reference_answer": gold.reference_answer, "answer": gold.answer}
    return {"answer_id": row["row_id"], **texts, "verdict": None, "decided_by": None}


def as_solution(row: Row) -> Row:
    """A gold row of a solution, as a row of `tables.SOLUTIONS`."""
    gold = gold_of(row, SolutionGold)
    texts = gold.model_dump(include={"problem", "reasoning", "solution", "predicted_answer"})
    return {"solution_id": row["row_id"], **texts}


def as_group(row: Row) -> Row:
    """A gold row of candidates, as a row of `tables.CANDIDATE_GROUPS`."""
    gold = gold_of(row, ChoiceGold)
    candidates = [
        {
            "solution_id": f"{row['row_id']}-{place}",
            "text": text,
            "answer": short_form(final_box(text) or ""),
            "correct": place in gold.right,
        }
        for place, text in enumerate(gold.candidates)
    ]
    return {"group_id": row["row_id"], "problem": gold.problem, "candidates": candidates}
