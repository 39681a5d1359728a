"""Groups of right and wrong solutions of each problem, to be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial

from omr_kedro.pipelines.llm_stage import Dropped, Kept, Outcome, crashed, not_kept_row
from omr_kedro.shards import Row, Scratch, Shard, Shards, SiblingShards, join_all, map_siblings, unless_crashed
from omr_kedro.solutions.candidate_groups import (
    Candidate,
    Group,
    GroupingRule,
    NoGroup,
    draw_groups,
    in_another_order,
    is_asked_twice,
)
from omr_kedro.solutions.judging import Correctness
from omr_kedro.text import TokenCounter

GROUPS, DROPPED = "groups", "dropped"


def group_candidates(
    problems: Shards, options: GroupingRule, tokens: TokenCounter, summaries: Shards, *judged: Shards
) -> tuple[SiblingShards, ...]:
    """Groups of candidates (`tables.CANDIDATE_GROUPS`), and the problems that give none.

    Args:
        problems: the problems.
        options: how candidates are put together.
        tokens: counts those of candidates.
        summaries: the summaries that take the place of final texts.
        judged: tables of samples with a verdict, kept and rejected ones.
    """

    def grouped(scratch: Scratch, problems: Shard, *others: Shard) -> Iterator[tuple[str, Row]]:
        evidence = [(table, "problem_id") for table in others]
        for problem, (summed, *samples) in join_all(problems, "problem_id", evidence, scratch):
            read = partial(groups_of, options=options, tokens=tokens)
            outcome = unless_crashed(crashed, read, problem, summed, [row for rows in samples for row in rows])
            if isinstance(outcome, Kept):
                yield from ((GROUPS, row) for row in outcome.rows)
            else:
                yield DROPPED, not_kept_row("group_candidates", problem["problem_id"], problem, outcome)

    by = [options.model_dump(), tokens.digest]
    return map_siblings(grouped, [GROUPS, DROPPED], problems, summaries, *judged, by=by)


def groups_of(
    problem: Row, summaries: list[Row], samples: list[Row], options: GroupingRule, tokens: TokenCounter
) -> Outcome:
    """The outcome of one problem: its groups, each set once, and some in another order too."""
    texts = {row["solution_id"]: row["summary"] for row in summaries}
    drawn = draw_groups(problem["problem_id"], candidates_of(samples, texts), options, tokens.count)
    if isinstance(drawn, NoGroup):
        return Dropped(str(drawn.reason), drawn.detail)
    expected = next(row["expected_answer"] for row in samples if _is_right(row))
    both = (each for group in drawn for each in _in_orders(group, options))
    return Kept([{**_row(problem, group), "expected_answer": expected} for group in both])


def candidates_of(samples: Iterable[Row], summaries: Mapping[str, str]) -> Iterator[Candidate]:
    """The samples of a problem that are known to be right or wrong, each with its summary or else its final text.

    Undecided samples, and those that were cut, that loop or that have no answer, are neither.
    """
    for row in samples:
        if _is_right(row) or _is_wrong(row):
            text = summaries.get(row["solution_id"]) or row["solution"] or ""
            yield Candidate(row["solution_id"], text.strip(), row["predicted_answer"] or "", _is_right(row))


def _is_right(sample: Row) -> bool:
    return bool(sample["verdict"] == Correctness.CORRECT and not sample.get("reason"))


def _is_wrong(sample: Row) -> bool:
    return bool(sample["verdict"] == sample.get("reason") == Correctness.INCORRECT)


def _in_orders(group: Group, options: GroupingRule) -> Iterator[Group]:
    yield group
    if is_asked_twice(group, options):
        yield in_another_order(group, options)


def _row(problem: Row, group: Group) -> Row:
    return {
        "group_id": group.group_id,
        "set_id": group.set_id,
        "problem_id": problem["problem_id"],
        "thread_id": problem["thread_id"],
        "problem": problem["problem"],
        "candidates": [asdict(each) for each in group.candidates],
        "order": group.order,
    }
