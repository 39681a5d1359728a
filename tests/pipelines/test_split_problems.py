"""Problems to be solved are split by their own ids; those that are left out have a reason."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from omr_kedro.answers import Finding
from omr_kedro.pipelines.split_problems.nodes import SplitOptions, split_problems
from omr_kedro.shards import Row, Shards, content_id, shard_of
from tests.support import cot
from tests.support.tables import made, rows_made, shards_of

TYPES = ("has_answer_extracted", "no_answer_extracted", "converted_proof")


def problem(number: int, **columns: str) -> Row:
    """One of three problems of its thread."""
    row = cot.problem(content_id("problem", str(number)), "5")
    return row | {"thread_id": f"t{number // 3}", "problem_type": TYPES[number % 3], **columns}


def quality(problems: list[Row], findings: dict[int, str | None]) -> Shards:
    """Findings about the problems, by their numbers."""
    return shards_of(
        [
            {"problem_id": row["problem_id"], "thread_id": row["thread_id"], "findings": findings.get(number, "")}
            for number, row in enumerate(problems)
        ]
    )


def ids(rows: list[Row]) -> list[str]:
    return [row["problem_id"] for row in rows]


@given(count=st.integers(0, 40), shards=st.integers(1, 9), types=st.none() | st.lists(st.sampled_from(TYPES)))
def test_each_problem_is_in_the_shard_of_its_id_or_left_out(count: int, shards: int, types: list[str] | None) -> None:
    problems = [problem(number) for number in range(count)]
    options = SplitOptions(shards=shards, problem_types=types)
    left_out, solved = split_problems(shards_of(problems), quality(problems, {}), options)
    assert len(solved.fingerprints) == len(left_out.fingerprints) == shards
    split = made(solved)
    for name, shard in split.items():
        assert all(shard_of(row["problem_id"], shards) == name for row in shard.rows())
    outcomes = Counter([*ids(list(split.rows())), *(row["row_id"] for row in rows_made(left_out))])
    assert outcomes == Counter(ids(problems))
    assert all(types is None or row["problem_type"] in types for row in split.rows())


def test_problems_are_left_out_by_type_source_and_finding() -> None:
    problems = [problem(0), problem(1), problem(2, problem_source="exam"), problem(3), problem(6)]
    found = quality(problems, {0: "disputed", 3: None, 4: "outvoted disputed parse_timeout"})
    options = SplitOptions(
        problem_types=["has_answer_extracted", "converted_proof"],
        problem_sources=["forum"],
        without_findings=[Finding.DISPUTED, Finding.OUTVOTED],
    )
    left_out, solved = split_problems(shards_of(problems), found, options)
    reasons = {
        row["row_id"]: (row["stage"], row["outcome"], row["reason"], row["detail"]) for row in rows_made(left_out)
    }
    assert reasons == {
        problems[0]["problem_id"]: ("split_problems", "dropped", "unwanted_finding", "disputed"),
        problems[1]["problem_id"]: ("split_problems", "dropped", "unwanted_type", "no_answer_extracted"),
        problems[2]["problem_id"]: ("split_problems", "dropped", "unwanted_source", "exam"),
        problems[4]["problem_id"]: ("split_problems", "dropped", "unwanted_finding", "disputed outvoted"),
    }
    assert ids(rows_made(solved)) == [problems[3]["problem_id"]]


@pytest.mark.parametrize(
    ("count", "options", "written", "shards"),
    [
        (10, {}, 0, 4),
        (450, {}, 0, 5),
        (450, {}, 7, 7),
        (450, {"shards": 3}, 0, 3),
        (60_000, {}, 0, 512),
    ],
)
def test_a_shard_is_a_hundred_problems_and_a_workspace_keeps_its_number(
    count: int, options: dict[str, int], written: int, shards: int
) -> None:
    class Counted(Shards):
        @property
        def count(self) -> int:
            return count

    problems = Counted(shards_of([]).values())
    _, solved = split_problems(problems, shards_of([]), SplitOptions.model_validate(options), written)
    assert len(solved.fingerprints) == shards


def test_other_problems_findings_or_options_split_anew_and_the_same_do_not() -> None:
    problems = [problem(number) for number in range(6)]

    def fingerprints(rows: list[Row], findings: dict[int, str | None], **options: object) -> list[dict[str, str]]:
        recipes = split_problems(shards_of(rows), quality(rows, findings), SplitOptions.model_validate(options))
        return [dict(recipe.fingerprints) for recipe in recipes]

    first = fingerprints(problems, {})
    assert fingerprints(problems, {}) == first
    for other in (
        fingerprints(problems[1:], {}),
        fingerprints(problems, {0: "disputed"}),
        fingerprints(problems, {}, problem_types=["converted_proof"]),
        fingerprints(problems, {}, shards=4, without_findings=["disputed"]),
    ):
        assert all(ours != theirs for ours, theirs in zip(other, first, strict=True))


def test_an_unknown_finding_is_refused() -> None:
    with pytest.raises(ValidationError, match="without_findings"):
        SplitOptions.model_validate({"without_findings": ["dispute"]})
