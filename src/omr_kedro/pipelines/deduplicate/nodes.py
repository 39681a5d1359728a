"""A problem that several threads ask stays once: the copy that has an answer, and then the longest discussion.

Copies are found among all problems, so that one step sees them all; it writes a table that lies in shards like every
other one. What depends on it is made shard by shard, and made again only where that table's shard has changed.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from pydantic import model_validator

from omr_kedro.pipelines.llm_stage import Dropped, Kept, Outcome, settle
from omr_kedro.shards import Row, Shards, SiblingShards, SplitShards, split_stream
from omr_kedro.text import (
    Document,
    Match,
    NearDuplicateOptions,
    exact_duplicates,
    math_tokens,
    near_duplicates,
)

_UNANSWERED = 1 << 40
_LONGEST = _UNANSWERED - 1


class DeduplicateOptions(NearDuplicateOptions):
    """Which problems are one."""

    exact: bool = True
    """Drop problems that equal another one but for dress: spacing, case, the delimiters of formulas."""
    near: bool = True
    """Drop problems that say almost the same with the same mathematics."""

    @model_validator(mode="after")
    def _near_includes_exact(self) -> DeduplicateOptions:
        if self.near and not self.exact:
            raise ValueError("near-duplicates include exact ones: with `exact: false`, set `near: false` as well")
        return self


@dataclass(slots=True)
class _Cluster:
    """Answers of the copies of one problem."""

    size: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    def add(self, problem: Row) -> None:
        self.size += 1
        if (answer := _plain_answer(problem)) is not None:
            self.answers[answer] += 1


def find_duplicates(problems: Shards, threads: Shards, options: DeduplicateOptions) -> SplitShards:
    """Every problem that has a copy (`tables.DUPLICATES`), in the shard of its thread."""
    # Threads decide as well: the length of a discussion says which copy stays.
    digests = [[shard.digest for shard in table.values()] for table in (problems, threads)]
    return split_stream(
        partial(_route_copies, problems, threads, options), len(problems), [digests, options.model_dump(), "duplicates"]
    )


def drop_duplicates(problems: Shards, duplicates: Shards) -> tuple[SiblingShards, ...]:
    """Problems that no other one stands for (`tables.PROBLEMS`), and the copies (`tables.DROPPED`)."""
    # No row can fail: a problem has a representative or it has none.
    return settle(
        "deduplicate", judge_copy, problems, duplicates, evidence_key="problem_id", of=dict, max_failed_share=0.0
    )


def judge_copy(problem: Row, copies: list[Row]) -> Outcome:
    """The outcome of one problem, given its row among the duplicates if it has one."""
    for copy in copies:
        if not copy["is_representative"]:
            stands = f"{copy['representative_id']} stands for it (similarity {copy['similarity']:.2f})"
            return Dropped(f"{copy['kind']}_duplicate", stands)
    return Kept([problem])


def _route_copies(problems: Shards, threads: Shards, options: DeduplicateOptions) -> Iterator[tuple[str, Row]]:
    # Eight bytes a problem, in the order of the table: three passes need them, and threads are the larger table.
    lengths = array("q", _discussion_lengths(problems, threads))
    matches = _find(problems, lengths, options)
    clusters = _clusters(problems, matches)
    places = iter(lengths)
    for shard in problems.values():
        # Rows first: where they end, no length is taken.
        for row, length in zip(shard.rows(), places, strict=False):
            match = matches.get(row["problem_id"])
            representative = match.representative if match else row["problem_id"]
            if representative in clusters:
                yield shard.id, _copy(row, match, length, clusters[representative])


def _discussion_lengths(problems: Shards, threads: Shards) -> Iterator[int]:
    for name, shard in problems.items():
        lengths = {row["thread_id"]: len(row["forum_discussions"]) for row in threads[name].rows()}
        for row in shard.rows():
            yield lengths[row["thread_id"]]


def _find(problems: Shards, lengths: array[int], options: DeduplicateOptions) -> dict[str, Match]:
    def documents() -> Iterator[Document]:
        for row, length in zip(problems.rows(), lengths, strict=True):
            yield Document(row["problem_id"], row["problem"], rank(row, length))

    if options.near:
        return near_duplicates(documents, options)
    return exact_duplicates(documents()) if options.exact else {}


def rank(problem: Row, discussion_chars: int) -> int:
    """Lower is better: an answer counts before any discussion, a long discussion before a short one."""
    return (problem["expected_answer"] is None) * _UNANSWERED - min(discussion_chars, _LONGEST)


def _clusters(problems: Shards, matches: Mapping[str, Match]) -> dict[str, _Cluster]:
    """Answers of each cluster, by its representative."""
    clusters: dict[str, _Cluster] = defaultdict(_Cluster)
    involved = {match.representative for match in matches.values()}
    for row in problems.rows():
        match = matches.get(row["problem_id"])
        representative = match.representative if match else row["problem_id"]
        if representative in involved:
            clusters[representative].add(row)
    return dict(clusters)


def _copy(problem: Row, match: Match | None, discussion_chars: int, cluster: _Cluster) -> Row:
    answer = _plain_answer(problem)
    answers = cluster.answers - Counter([] if answer is None else [answer])
    same = 0 if answer is None else answers[answer]
    return {
        "problem_id": problem["problem_id"],
        "thread_id": problem["thread_id"],
        "representative_id": match.representative if match else problem["problem_id"],
        "is_representative": match is None,
        "kind": ("exact" if match.exact else "near") if match else None,
        "similarity": match.similarity if match else 1.0,
        "copies": cluster.size - 1,
        "same_answers": same,
        "other_answers": answers.total() - same,
        "expected_answer": problem["expected_answer"],
        "discussion_chars": discussion_chars,
        "problem": problem["problem"],
    }


def _plain_answer(problem: Row) -> str | None:
    """The answer without its dress."""
    answer = problem["expected_answer"]
    return None if answer is None else " ".join(math_tokens(answer)).rstrip(" .")
