"""Problems to be solved, split anew by their own ids: a thread's shard is too large for many long samples of each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import ceil

from pydantic import BaseModel, ConfigDict, Field

from omr_kedro.answers import Finding
from omr_kedro.pipelines.llm_stage import Dropped, not_kept_row
from omr_kedro.shards import MOST_SHARDS, Row, Shards, SplitShards, shard_of, split_stream

_STAGE = "split_problems"
_PROBLEMS = 100
_FEWEST, _MOST = 4, 512


class SplitOptions(BaseModel):
    """Which problems are solved, and how they are split."""

    model_config = ConfigDict(extra="forbid")

    shards: int | None = Field(default=None, ge=1, le=MOST_SHARDS)
    """Number of shards of all tables of solutions; None for one for each hundred problems, 4 at least and 512 at most.
    A hundred problems with 32 samples of 40 kB are 128 MB."""
    problem_types: list[str] | None = None
    """Types that are solved (`problem_type`); None for all. Without `converted_proof` converted proofs are left out."""
    problem_sources: list[str] | None = None
    """Sources that are solved (`problem_source`); None for all."""
    without_findings: list[Finding] = []
    """Problems whose extracted answer has one of these findings (`answer_quality`) are left out."""


def split_problems(
    problems: Shards, quality: Shards, options: SplitOptions, written: int = 0
) -> tuple[SplitShards, SplitShards]:
    """Split the clean problems by `problem_id`.

    Args:
        problems: clean problems.
        quality: findings about their answers.
        options: which of them are solved.
        written: number of shards that the workspace has for solutions, which it keeps; 0 where it has none yet.

    Returns:
        The problems that are left out (`tables.DROPPED`), and those to be solved (`tables.PROBLEMS`).
    """
    shards = options.shards or written or min(_MOST, max(_FEWEST, ceil(problems.count / _PROBLEMS)))
    digests = [[shard.digest for shard in table.values()] for table in (problems, quality)]
    by = [digests, options.model_copy(update={"shards": shards}).model_dump(mode="json")]
    left_out = split_stream(partial(_left_out, problems, quality, options, shards), shards, [by, "left out"])
    return left_out, split_stream(partial(_solved, problems, quality, options, shards), shards, by)


def _solved(problems: Shards, quality: Shards, options: SplitOptions, shards: int) -> Iterator[tuple[str, Row]]:
    for row, outcome in _sorted_out(problems, quality, options):
        if outcome is None:
            yield shard_of(row["problem_id"], shards), row


def _left_out(problems: Shards, quality: Shards, options: SplitOptions, shards: int) -> Iterator[tuple[str, Row]]:
    for row, outcome in _sorted_out(problems, quality, options):
        if outcome:
            row_id = row["problem_id"]
            yield shard_of(row_id, shards), not_kept_row(_STAGE, row_id, row, outcome)


def _sorted_out(problems: Shards, quality: Shards, options: SplitOptions) -> Iterator[tuple[Row, Dropped | None]]:
    unwanted = set(options.without_findings)
    for shard_id, shard in problems.items():
        findings: dict[str, set[str]] = {}
        if unwanted:
            found = quality[shard_id].rows()
            findings = {row["problem_id"]: set((row["findings"] or "").split()) & unwanted for row in found}
        for row in shard.rows():
            yield row, why_left_out(row, findings.get(row["problem_id"], set()), options)


def why_left_out(problem: Row, findings: set[str], options: SplitOptions) -> Dropped | None:
    """The reason for which a problem is not solved, if there is one.

    Args:
        problem: its row.
        findings: those of its findings that are unwanted.
        options: which problems are wanted.
    """
    if options.problem_types is not None and problem["problem_type"] not in options.problem_types:
        return Dropped("unwanted_type", str(problem["problem_type"]))
    if options.problem_sources is not None and problem["problem_source"] not in options.problem_sources:
        return Dropped("unwanted_source", str(problem["problem_source"])[:500])
    return Dropped("unwanted_finding", " ".join(sorted(findings))) if findings else None
