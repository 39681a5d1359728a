"""Views of the published configs for trainers, and the choice of what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from omr_kedro.pipelines.publish.nodes import PublishOptions
from omr_kedro.publishing.chat_template import ChatTemplate
from omr_kedro.publishing.filters import Bounds, Filters
from omr_kedro.publishing.publication import Publication, Published, publication
from omr_kedro.publishing.rows import selection_prompt
from omr_kedro.publishing.selection import held_out, is_usefulness_known, select
from omr_kedro.publishing.training import Guard, kept, pairs, rl_problems
from omr_kedro.publishing.views import (
    INSTRUCTION,
    SCHEMAS,
    SOURCE_COLUMNS,
    Rendering,
    genselect_rl_row,
    preference_rows,
    rl_rows,
    sft_rows,
)
from omr_kedro.shards import MappedShards, Row, Shards, code_digest, shard_names
from omr_kedro.shards.batches import Most, batches
from omr_kedro.shards.identity import fingerprint
from omr_kedro.text import TokenCounter

View = Literal[
    "sft_messages", "sft_prompt_completion", "sft_input_output", "nemo_rl", "axolotl", "verl_sft",
    "verl_rl", "nemo_gym", "preferences", "genselect_rl",
]  # fmt: skip
EVERY: tuple[View, ...] = get_args(View)
_OFF = "not among `publish_views.views`"
_HELD_OUT = "no problem that is held out (`publish_views.rl.share`) is fit"


class RlOptions(BaseModel):
    """Problems for RL, which no SFT view has."""

    model_config = ConfigDict(extra="forbid")

    share: float = Field(default=0.1, ge=0, le=1)
    """Of all problems, chosen by a hash of the problem's id."""
    pass_rate: Bounds = Bounds()
    """Problems with another pass rate are left out, and those without one where this has a bound."""
    answer_types: list[str] | None = None
    """Types of answers (`answer_type`) that the trainer's verifier can compare; null for all."""


class ViewOptions(BaseModel):
    """Which views are made, of what, and how."""

    model_config = ConfigDict(extra="forbid")

    views: list[View] = list(EVERY)
    """Views that are written."""
    filters: Filters = Filters()
    """Solutions that are left out of training."""
    rl: RlOptions = RlOptions()
    """Problems that are kept for RL."""
    pairs_per_problem: int = Field(default=4, ge=1)
    """Pairs of a right and a wrong sample of a problem at most."""
    instruction: str = Field(default=INSTRUCTION, pattern=r"(?s)\{problem\}")
    """User message, with `{problem}`."""
    trim_prefix: bool = False
    """Cut a first line "My solution:" of replies."""
    trim_solutions: bool = False
    """Cut all behind the line of a reply's last box."""
    split_arithmetic: bool = False
    """Take chains of arithmetic apart, as `2 + 3 * 4 = 2 + 12 = 14`."""
    add_code_execution_counts: bool = False
    """Fill `total_code_executions` of `sft_input_output`."""
    data_source: str = "omr_kedro"
    """Name of the dataset in rows for verl."""

    def rendering(self, template: ChatTemplate | None = None) -> Rendering:
        """How texts are put into views."""
        names = set(Rendering.__dataclass_fields__) - {"template"}
        return Rendering(**self.model_dump(include=names), template=template)

    def by(self, *sections: str) -> dict[str, Any]:
        """The options that decide rows, as a fingerprint holds them; of `filters` and `rl` those that are named."""
        others = {"views", "filters", "rl"} - set(sections)
        return self.model_dump(mode="json", exclude=others)


def select_for_sft(
    not_useful: Shards,
    problems: Published,
    rejected: Published,
    tokens: TokenCounter,
    options: ViewOptions,
    *solutions: Published,
) -> MappedShards:
    """Which published solutions are trained on, and why not the others (`tables.SFT_SELECTION`).

    Args:
        not_useful: solutions whose code a judge did not find useful; it tells a judge who decided nothing from none.
        problems: the clean ones.
        rejected: samples that are no solution.
        tokens: counts those of texts.
        options: filters, and the share of problems for RL.
        solutions: the configs of solutions.
    """
    guard, filters, share = Guard(problems, rejected, options.rl.share), options.filters, options.rl.share
    asked = not_useful.count > 0

    def make(shard_id: str) -> Iterator[Row]:
        del shard_id
        evidence = guard.evidence(tokens.count, judged=asked or is_usefulness_known(solutions))
        return select(solutions, filters, evidence, share)

    digests = [each.digest for each in (problems, rejected, *solutions)]
    (name,) = shard_names(1)
    by = fingerprint(code_digest(make), digests, tokens.digest, filters.model_dump(mode="json"), share, asked)
    return MappedShards({name: by}, make)


def publish_sft_view(
    view: View,
    selection: Shards,
    problems: Published,
    rejected: Published,
    template: ChatTemplate | None,
    options: ViewOptions,
    *solutions: Published,
) -> Publication:
    """A view of the solutions that are trained on."""
    if view not in options.views:
        return _nothing(view, _OFF)
    if view == "sft_input_output" and template is None:
        return _nothing(view, "no tokenizer: set `chat_template` in globals.yml")
    rendering = options.rendering(template)

    def rows() -> Iterator[pa.RecordBatch]:
        return sft_rows(view, kept(solutions, selection, SOURCE_COLUMNS), rendering)

    guard = Guard(problems, rejected, options.rl.share)
    by = [view, options.by("rl"), template.source if view == "sft_input_output" and template else None]
    return publication(
        SCHEMAS[view], rows, [selection, problems, rejected, *solutions], by,
        check=guard.check_sft, why_empty="no solution is fit for training, or none is left by the filters",
    )  # fmt: skip


def publish_rl_view(view: View, problems: Published, rejected: Published, options: ViewOptions) -> Publication:
    """A view of the problems that are held out."""
    if view not in options.views:
        return _nothing(view, _OFF)
    rl, rendering = options.rl, options.rendering()

    def rows() -> Iterator[pa.RecordBatch]:
        return rl_rows(view, rl_problems(problems, rl.share, rl.pass_rate, rl.answer_types), rendering)

    guard = Guard(problems, rejected, rl.share)
    by = [view, options.by("rl")]
    return publication(SCHEMAS[view], rows, [problems], by, check=guard.check_rl, why_empty=_HELD_OUT)


def publish_preferences(
    selection: Shards, problems: Published, rejected: Published, options: ViewOptions, *solutions: Published
) -> Publication:
    """The view `preferences`."""
    if "preferences" not in options.views:
        return _nothing("preferences", _OFF)
    guard, rendering, most = Guard(problems, rejected, options.rl.share), options.rendering(), options.pairs_per_problem

    def rows() -> Iterator[pa.RecordBatch]:
        return preference_rows(pairs(solutions, rejected, selection, guard, most), rendering)

    return publication(
        SCHEMAS["preferences"], rows, [selection, problems, rejected, *solutions], options.by("rl"),
        check=guard.check_preferences, why_empty="no problem has a right and a wrong sample that are whole",
    )  # fmt: skip


def publish_genselect_rl(
    groups: Shards, problems: Published, rejected: Published, options: ViewOptions, published: PublishOptions
) -> Publication:
    """The view `genselect_rl`: groups of candidates of problems that are held out, one order of each."""
    if "genselect_rl" not in options.views:
        return _nothing("genselect_rl", _OFF)
    schema, prompt, share = SCHEMAS["genselect_rl"], published.selection_prompt, options.rl.share
    guard = Guard(problems, rejected, share)

    def rows() -> Iterator[pa.RecordBatch]:
        made = (
            genselect_rl_row(
                row, selection_prompt(prompt, row["problem"], [each["text"] for each in row["candidates"]])
            )
            for row in groups.rows()
            if row["order"] == 0
        )
        for some in batches(made, Most(rows=64, bytes=1 << 20)):
            batch = pa.RecordBatch.from_pylist(some, schema=schema)
            ids = batch.column("problem_id")
            yield batch.filter(pa.array(held_out(ids, share) & guard.clean.hold(ids)))

    by = [options.by("rl"), prompt]
    inputs: list[Shards | Published] = [groups, problems, rejected]
    return publication(schema, rows, inputs, by, check=guard.check_comparisons, why_empty=_HELD_OUT)


def _nothing(view: View, why: str) -> Publication:
    return publication(SCHEMAS[view], _no_batches, [], why, why_empty=why)


def _no_batches() -> Iterator[pa.RecordBatch]:
    return iter(())
