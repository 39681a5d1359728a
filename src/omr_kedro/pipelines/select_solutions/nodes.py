"""Comparisons of candidates: which of them a model takes for the best, and whether that one is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import pandas as pd
from pydantic import Field

from omr_kedro.llm.calls import CallPlan, Completion, Model, Prompt, Request
from omr_kedro.pipelines.llm_stage import CallOptions, Dropped, Failed, Kept, Outcome, ask, request, settle
from omr_kedro.shards import Row, Scratch, Shard, Shards, SiblingShards, join, map_joined
from omr_kedro.solutions.positions import Choice, PositionTally
from omr_kedro.solutions.selection import SelectionOutcome, outcome_of, read_selection
from omr_kedro.text.candidates import show_candidates

ALL = "all"
"""Stands in the column `position` of the sum."""


class SelectionOptions(CallOptions):
    """How a model compares."""

    temperature: float = Field(default=0.6, ge=0, le=2)
    top_p: float | None = Field(default=0.95, gt=0, le=1)
    max_tokens: int = Field(default=8192, gt=0)
    seed: int | None = 0


def ask_select_solutions(groups: Shards, prompt: Prompt, model: Model, options: SelectionOptions) -> CallPlan:
    """Ask which candidate of each group is the best."""

    def requests(groups: Shard) -> Iterator[Request]:
        for row in groups.rows():
            candidates = show_candidates([each["text"] for each in row["candidates"]])
            values = {"problem": row["problem"], "candidates": candidates}
            yield request(row["group_id"], prompt, options, values)

    return ask("select_solutions", requests, [groups], prompt, model, options)


def list_selections(groups: Shards, completions: Shards) -> SiblingShards:
    """All comparisons, each with the candidate that it chooses and whether that one is right (`tables.SELECTIONS`)."""

    def listed(scratch: Scratch, groups: Shard, completions: Shard) -> Iterator[Row]:
        for group, calls in join(groups, "group_id", completions, "row_id", scratch):
            yield from (selection_of(group, call) for call in calls[:1])

    return map_joined(listed, groups, completions)


def selection_of(group: Row, call: Row) -> Row:
    """The comparison of one group, from the call about it."""
    completion = Completion.from_row(call)
    candidates = group["candidates"]
    found = read_selection(completion, [each["answer"] for each in candidates])
    return {
        **group,
        "chosen": found.chosen,
        "chosen_solution_id": None if found.chosen is None else candidates[found.chosen]["solution_id"],
        "outcome": str(outcome_of(found.chosen, [each["correct"] for each in candidates])),
        "why_unclear": found.why_unclear or None,
        "comparison": found.comparison,
        "reasoning": found.reasoning or None,
        "selection_model": completion.model,
        "completion_tokens": completion.completion_tokens,
        "finish_reason": completion.finish_reason,
        "call_key": call["call_key"],
        "prompt_hash": call["prompt_hash"],
    }


def read_select_solutions(groups: Shards, selections: Shards, options: SelectionOptions) -> tuple[SiblingShards, ...]:
    """The comparisons that choose a right candidate (`tables.SELECTIONS`), and the groups that have none."""
    return settle(
        "select_solutions",
        decide_selection,
        groups,
        selections,
        key="group_id",
        evidence_key="group_id",
        of=dict,
        max_failed_share=options.max_failed_share,
    )


def decide_selection(group: Row, selections: list[Row]) -> Outcome:
    """The outcome of one group."""
    if not selections:
        return Failed("not_asked", "the completions table holds no call for this group")
    (selection,) = selections
    if selection["outcome"] == SelectionOutcome.RIGHT:
        return Kept([selection])
    if selection["outcome"] == SelectionOutcome.WRONG:
        return Dropped("wrong", f"it chooses {selection['chosen'] + 1} of {len(group['candidates'])}")
    return Failed("unclear", selection["why_unclear"])


def report_positions(selections: Shards) -> pd.DataFrame:
    """Choices by the position of the candidate.

    Returns:
        A row for each position, from 1, and one for all: candidates `shown` there, `right` ones among them, how often
        one was `chosen` there and would have been by a judge that draws at random (`by_chance`), `chosen_right`, sets
        that were `asked_twice` with a clear choice each time, of which the first fell on this position, and those that
        `agreed`: the same solution was chosen in both orders.
    """
    tally = PositionTally()
    for shard in selections.values():
        # All groups of a problem are in its shard.
        tally.add(_choices(shard))
    rows = [(str(position), counts) for position, counts in sorted(tally.counts.items())]
    frame = pd.DataFrame([{"position": name, **asdict(counts)} for name, counts in [*rows, (ALL, tally.total())]])
    return frame.round({"by_chance": 1})


def _choices(selections: Shard) -> Iterator[Choice]:
    # By columns: comparisons are long, and none of them is looked at.
    columns = (selections.column(name) for name in ("set_id", "order", "candidates", "chosen"))
    for set_id, order, candidates, chosen in zip(*columns, strict=True):
        ids = tuple(each["solution_id"] for each in candidates)
        yield Choice(set_id, order, ids, tuple(each["correct"] for each in candidates), chosen)
