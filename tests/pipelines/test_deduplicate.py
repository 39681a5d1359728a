"""Problems that several threads ask: which copy stays, what is known of the others, and what is made again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from omr_kedro.pipelines.deduplicate.nodes import DeduplicateOptions, drop_duplicates, find_duplicates, judge_copy, rank
from omr_kedro.pipelines.llm_stage import Dropped, Kept
from omr_kedro.shards import Row, TableStore
from omr_kedro.shards.identity import shard_names
from omr_kedro.tables import DROPPED, DUPLICATES, PROBLEMS
from tests.support.tables import shards_of

PRIMES = "Find all primes $p$ such that $p + 2$ is prime and $p < 10$."
NEARLY = "Determine all primes $p$ such that $p+2$ is prime and $p<10$."
OTHERS = "Find all primes $p$ such that $p + 2$ is prime and $p < 11$."


def problem(number: int, statement: str, answer: str | None = None) -> Row:
    return {
        "problem_id": f"p{number}",
        "thread_id": f"t{number}",
        "problem": statement,
        "expected_answer": answer,
        "model": "m",
    }


def threads_of(problems: Sequence[Row], **discussions: str) -> list[Row]:
    return [
        {"thread_id": row["thread_id"], "forum_discussions": discussions.get(row["thread_id"], "")} for row in problems
    ]


class Stage:
    """Both nodes, and the tables that they make."""

    def __init__(self, folder: Path, shards: int = 2) -> None:
        self.duplicates = TableStore(folder / "duplicates", "jsonl", DUPLICATES)
        self.distinct = TableStore(folder / "distinct", "jsonl", PROBLEMS)
        self.dropped = TableStore(folder / "dropped", "jsonl", DROPPED)
        self._count = shards

    def run(self, problems: Sequence[Row], options: DeduplicateOptions | None = None, **discussions: str) -> int:
        """Returns how many shards of `distinct` were made."""
        tables = (shards_of(problems, self._count), shards_of(threads_of(problems, **discussions), self._count))
        self.duplicates.save(find_duplicates(*tables, options or DeduplicateOptions()))
        distinct, dropped = drop_duplicates(tables[0], self.duplicates.shards())
        self.dropped.save(dropped)
        return self.distinct.save(distinct)

    def kept(self) -> list[str]:
        return sorted(row["problem_id"] for row in self.distinct.shards().rows())

    def reasons(self) -> dict[str, str]:
        return {row["row_id"]: row["reason"] for row in self.dropped.shards().rows()}

    def copies(self) -> dict[str, dict[str, Any]]:
        return {row["problem_id"]: row for row in self.duplicates.shards().rows()}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_copies_are_dropped_wherever_they_are_and_name_the_one_that_stays(stage: Stage) -> None:
    stage.run([problem(1, PRIMES), problem(2, PRIMES.replace("$", "")), problem(3, NEARLY), problem(4, OTHERS)])
    assert stage.kept() == ["p1", "p4"]
    assert stage.reasons() == {"p2": "exact_duplicate", "p3": "near_duplicate"}
    details = {row["row_id"]: row["detail"] for row in stage.dropped.shards().rows()}
    assert details["p2"] == "p1 stands for it (similarity 1.00)"
    assert details["p3"].startswith("p1 stands for it (similarity 0.8")


def test_every_problem_of_a_cluster_is_in_the_table_and_no_other(stage: Stage) -> None:
    stage.run([problem(1, PRIMES), problem(2, PRIMES), problem(3, NEARLY), problem(4, OTHERS)])
    copies = stage.copies()
    assert set(copies) == {"p1", "p2", "p3"}
    assert {row["representative_id"] for row in copies.values()} == {"p1"}
    assert {name: row["is_representative"] for name, row in copies.items()} == {"p1": True, "p2": False, "p3": False}
    assert {name: row["kind"] for name, row in copies.items()} == {"p1": None, "p2": "exact", "p3": "near"}
    assert {row["copies"] for row in copies.values()} == {2}


def test_an_answer_counts_before_the_length_of_a_discussion_and_that_before_the_id(stage: Stage) -> None:
    copies = [problem(number, PRIMES, answer) for number, answer in enumerate((None, "5", "5", "7"))]
    stage.run(copies, t0="a very long discussion", t1="short", t2="longer", t3="longer")
    assert stage.kept() == ["p2"]
    assert rank(copies[1], 0) < rank(copies[0], 10**12)


def test_it_is_counted_how_many_copies_answer_the_same(stage: Stage) -> None:
    answers = ("$5$", "5", "7", None)
    stage.run([problem(number, PRIMES, answer) for number, answer in enumerate(answers)])
    counts = {name: (row["same_answers"], row["other_answers"]) for name, row in stage.copies().items()}
    assert counts == {"p0": (1, 1), "p1": (1, 1), "p2": (0, 2), "p3": (0, 3)}
    assert {name: row["expected_answer"] for name, row in stage.copies().items()}["p2"] == "7"


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"near": False}, ["p1", "p3", "p4"]),
        ({"near": False, "exact": False}, ["p1", "p2", "p3", "p4"]),
        ({"same_mathematics": False}, ["p1"]),
        ({"threshold": 0.9}, ["p1", "p3", "p4"]),
    ],
)
def test_parameters_say_what_counts_as_a_copy(stage: Stage, options: dict[str, Any], kept: list[str]) -> None:
    problems = [problem(1, PRIMES), problem(2, PRIMES), problem(3, NEARLY), problem(4, OTHERS)]
    stage.run(problems, DeduplicateOptions(**options))
    assert stage.kept() == kept


def test_parameters_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="set `near: false` as well"):
        DeduplicateOptions(exact=False)


def test_a_second_run_makes_nothing(stage: Stage) -> None:
    problems = [problem(1, PRIMES), problem(2, PRIMES)]
    assert stage.run(problems) == 2
    assert stage.run(problems) == 0


def test_a_new_copy_makes_only_those_shards_again_whose_problems_it_touches(tmp_path: Path) -> None:
    stage = Stage(tmp_path, shards=4)
    problems = [problem(1, PRIMES, "3, 5"), problem(2, OTHERS), problem(3, "Find $x$."), problem(4, "Find $y$ now.")]
    assert stage.run(problems) == 4
    # A copy of the second problem in the shard of the first: that shard has a new row, the second one's a new cluster.
    assert stage.run([*problems, problem(5, OTHERS)]) == 2
    assert stage.kept() == ["p1", "p2", "p3", "p4"]


def test_the_better_copy_that_comes_later_takes_the_place(stage: Stage) -> None:
    stage.run([problem(1, PRIMES), problem(2, PRIMES)])
    assert stage.kept() == ["p1"]
    stage.run([problem(1, PRIMES), problem(2, PRIMES), problem(3, NEARLY, "3, 5")])
    assert stage.kept() == ["p3"]
    assert stage.reasons() == {"p1": "near_duplicate", "p2": "near_duplicate"}


def test_a_problem_without_a_copy_stays() -> None:
    assert judge_copy(problem(1, PRIMES), []) == Kept([problem(1, PRIMES)])
    copy = {"is_representative": False, "kind": "near", "representative_id": "p2", "similarity": 0.915}
    assert judge_copy(problem(1, PRIMES), [copy]) == Dropped("near_duplicate", "p2 stands for it (similarity 0.92)")


@given(st.lists(st.tuples(st.sampled_from([PRIMES, NEARLY, OTHERS, ""]), st.none() | st.just("5")), max_size=8))
def test_of_every_cluster_exactly_one_stays(given: list[tuple[str, str | None]]) -> None:
    problems = [problem(number, statement, answer) for number, (statement, answer) in enumerate(given)]
    shards = shards_of(problems)
    rows = [row for _, row in find_duplicates(shards, shards_of(threads_of(problems)), DeduplicateOptions()).stream()]
    representatives = {row["problem_id"] for row in rows if row["is_representative"]}
    assert len(rows) == len({row["problem_id"] for row in rows})
    assert {row["representative_id"] for row in rows} == representatives
    answered = {row["problem_id"] for row in rows if row["expected_answer"] is not None}
    for row in rows:
        assert row["copies"] == sum(other["representative_id"] == row["representative_id"] for other in rows) - 1 > 0
        assert row["problem_id"] not in answered or row["representative_id"] in answered
    kept = len(problems) - len(rows) + len(representatives)
    assert kept == len({statement if statement != NEARLY else PRIMES for statement, _ in given})
    assert list(shards) == shard_names(2)
