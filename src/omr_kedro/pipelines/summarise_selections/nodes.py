"""Summaries of long comparisons: kept only if they choose the same candidate themselves."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pydantic import Field

from omr_kedro.llm.calls import CallPlan, Completion, Episode, Model, Prompt
from omr_kedro.pipelines.llm_stage import Outcome, ask, request, settle
from omr_kedro.pipelines.summarise_cot.nodes import SummaryOptions, chosen_summary, summary_columns
from omr_kedro.shards import Row, Scratch, Shard, Shards, SiblingShards, join, map_joined
from omr_kedro.solutions.summaries import Summary, choice_stated, draw_summaries, read_summary
from omr_kedro.text.candidates import show_candidates


class SelectionSummaryOptions(SummaryOptions):
    """Which comparisons are summarised, and how."""

    longer_than: int = Field(default=2000, ge=0)
    """Characters of reasoning and final text from which on a comparison is summarised."""


def ask_summarise_selections(
    selections: Shards, prompt: Prompt, model: Model, options: SelectionSummaryOptions
) -> CallPlan:
    """Draw summaries of each long comparison, one after the other, until there is enough to choose from."""

    def episodes(selections: Shard) -> Iterator[Episode]:
        for row in selections.rows():
            if wants_summary(row, options):
                values = {
                    "problem": row["problem"],
                    "candidates": show_candidates([each["text"] for each in row["candidates"]]),
                    "comparison": _whole(row),
                }
                asked = request(row["group_id"], prompt, options, values)
                play = partial(draw_summaries, asked=asked, read=partial(summary_of, row))
                yield Episode(row["group_id"], play, prompt.hash)

    return ask("summarise_selections", episodes, [selections], prompt, model, options, calls_per_row=2)


def wants_summary(selection: Row, options: SelectionSummaryOptions) -> bool:
    """Whether a comparison is summarised."""
    return options.enabled and len(_whole(selection)) > options.longer_than


def summary_of(selection: Row, completion: Completion) -> Summary:
    """A summary, read and compared with the choice of its comparison."""
    answers = [each["answer"] for each in selection["candidates"]]
    return read_summary(completion, partial(choice_stated, chosen=selection["chosen"] + 1, answers=answers))


def list_selection_summaries(
    selections: Shards, completions: Shards, options: SelectionSummaryOptions
) -> SiblingShards:
    """All summaries that were drawn, each with its flaw if it has one (`tables.SELECTION_SUMMARIES`)."""

    def listed(scratch: Scratch, selections: Shard, completions: Shard) -> Iterator[Row]:
        for selection, calls in join(selections, "group_id", completions, "row_id", scratch):
            for call in calls:
                yield _row(selection, call, summary_of(selection, Completion.from_row(call)))

    return map_joined(listed, selections, completions, by=options.which)


def read_summarise_selections(
    selections: Shards, candidates: Shards, options: SelectionSummaryOptions
) -> tuple[SiblingShards, ...]:
    """The summary of each comparison that has one (`tables.SELECTION_SUMMARIES`), and the comparisons without one."""
    return settle(
        "summarise_selections",
        partial(choose_summary, options=options),
        selections,
        candidates,
        key="group_id",
        evidence_key="group_id",
        of=dict,
        max_failed_share=options.max_failed_share,
        settings=options.which,
    )


def choose_summary(selection: Row, candidates: list[Row], options: SelectionSummaryOptions) -> Outcome:
    """The outcome of one comparison. Without a summary it stays a comparison."""
    return chosen_summary(candidates, wanted=wants_summary(selection, options))


def _whole(selection: Row) -> str:
    return f"{selection['reasoning'] or ''}\n\n{selection['comparison']}".strip()


def _row(selection: Row, call: Row, summary: Summary) -> Row:
    return {
        **{name: selection[name] for name in ("group_id", "set_id", "problem_id", "thread_id")},
        "summary_choice": int(summary.result) - 1 if summary.result else None,
        **summary_columns(call, summary),
    }
