"""A sample of shards on its way through nodes that make of each shard shards of the same name, and ask nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ChatModelDataset
from omr_kedro.estimate.counting import PromptCounter, find_tokenizer
from omr_kedro.estimate.figures import (
    ASSUMED,
    COUNTED,
    MEASURED,
    SAMPLED,
    Drawing,
    StageEstimate,
    StopRuleEstimate,
    cost,
    hours,
    weakest,
)
from omr_kedro.estimate.options import EstimateOptions
from omr_kedro.estimate.overlay import Overlay
from omr_kedro.estimate.rates import parents_of, rate_of, settled_by, tables_read, told
from omr_kedro.estimate.stage_calls import StageCalls
from omr_kedro.pipelines.stages import ALL_SHARDS_TAG
from omr_kedro.runners.account import read_prices
from omr_kedro.runners.groups import BY_SHARD_TAG
from omr_kedro.shards import Recipe


def model_of(node: Node, catalog: CatalogProtocol[Any, Any]) -> str | None:
    """The model that a node asks, by its name in the catalog; None for a node that asks none."""
    return next((name for name in node.inputs if isinstance(catalog.get(name), ChatModelDataset)), None)


@dataclass(frozen=True)
class Looked:
    """The shards of a sample."""

    weights: Mapping[str, float]
    """Each with how many it stands for."""
    whole: bool
    """Whether these are all rows that there are."""


@dataclass(frozen=True)
class HandedOver:
    """Rows that go from one leg of the way to the next, split anew."""

    recipe: Recipe
    """The rows of the sample, in new shards."""
    rows: int
    """How many these are."""
    weight: float
    """Rows of the run for each of them."""
    unknown: float
    """Rows of the run that will come of rows which wait for a call."""
    kinds: Collection[str]
    """Kinds of figures that these rest on."""
    is_made: bool
    """Whether the project's own table is what the run would make."""

    @property
    def expected(self) -> float:
        """Rows of the run."""
        return self.weight * self.rows + self.unknown


class Walk:
    """A sample on one leg of its way: from where rows are split to where they are split anew."""

    def __init__(
        self,
        nodes: Sequence[Node],
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        options: EstimateOptions,
        looked: Looked,
        folder: Path,
        before: Walk | None = None,
    ) -> None:
        """Take a sample's shards.

        Args:
            nodes: of the leg, but for the one that splits its rows.
            pipeline: all nodes, those of the other legs included.
            catalog: of the run.
            options: of the estimate.
            looked: the shards.
            folder: for what is made; it is thrown away.
            before: the way through the leg before it.
        """
        self._nodes = nodes
        self._stages = settled_by(pipeline)
        self._read = {name for node in pipeline.nodes for name in node.inputs}
        self._catalog = catalog
        self._options = options
        self.looked = looked
        self._weights = looked.weights
        self._overlay: Overlay = Overlay(catalog, list(looked.weights), folder, before._overlay if before else None)
        self._unknown: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(looked.weights, 0.0))
        """Rows of a table that would come of rows that wait for a call, by shard."""
        self._kinds: dict[str, set[str]] = defaultdict(set)
        """Kinds of figures that the unknown rows of a table rest on."""
        self.notes: dict[str, None] = {}
        self._calls: dict[str, StageCalls] = {}
        self._asked_about: dict[str, float] = {}
        """Unknown rows that each asking node would ask about, of the whole run."""
        self._answered_by: dict[str, str] = dict(before._answered_by) if before else {}
        """The model that is asked for a table of completions, by the name that the endpoint knows."""

    def begin(self, split: Mapping[str, Recipe]) -> int:
        """Begin with tables that are split out of files; returns the rows of the longest."""
        read = [name for name in split if name in self._read]
        for name in read:
            self._overlay.save(name, self._overlay.of_sample(split[name]))
        return max((self._overlay.shards(name).count for name in read), default=0)

    def go_on_with(self, name: str, handed: HandedOver, *, own: bool, unknown: float) -> int:
        """Begin with rows of another leg.

        Args:
            name: the table.
            handed: the rows.
            own: whether to look at the project's own table in their place.
            unknown: rows of the run that are in neither.

        Returns:
            The rows that there are.
        """
        if own:
            self._overlay.take_own(name) if handed.is_made else self._overlay.take(name)
        else:
            self._overlay.save(name, handed.recipe)
        self._kinds[name] = set() if handed.is_made else set(handed.kinds)
        stood_for = sum(self._weights.values())
        self._unknown[name] = dict.fromkeys(self._weights, unknown / stood_for if stood_for else 0.0)
        return self._overlay.shards(name).count

    def run(self) -> None:
        """Run all nodes."""
        for node in self._nodes:
            if model_of(node, self._catalog):
                self._ask(node)
            elif BY_SHARD_TAG in node.tags or not tables_read(self._overlay, node):
                self._derive(node)
            else:
                self._stand_in(node)

    def hand_over(self, split: Node, table: str) -> HandedOver:
        """Hand the rows over that a node splits anew.

        Args:
            split: the node.
            table: the one of its tables that the next leg goes on with.
        """
        recipe = self._overlay.recipes(split)[table]
        (parent,) = parents = tables_read(self._overlay, split)[:1]
        given, rows = self._overlay.shards(parent), self._overlay.count(table, recipe)
        stood_for = sum(weight * given[shard].count for shard, weight in self._weights.items())
        missing = sum(self._weights[shard] * waiting for shard, waiting in self._missing(parent).items())
        kinds = set(self._kinds[parent])
        unknown = 0.0
        if missing:
            rate = rate_of(self._overlay, self._options, {}, split, table, parents, (given.count, rows))
            unknown = missing * rate.value
            kinds.add(rate.kind)
            self.notes[told(table, parents, rate)] = None
        is_made = not missing and self._overlay.is_fresh(split)
        return HandedOver(recipe, rows, stood_for / given.count if given.count else 1.0, unknown, kinds, is_made)

    def estimates(self, names: Collection[str]) -> list[StageEstimate]:
        """The estimates of the asking nodes with these names."""
        return [self._estimate(calls) for name, calls in self._calls.items() if name in names]

    def _derive(self, node: Node) -> None:
        costly = any(getattr(self._overlay.constant(name), "costly", False) for name in _constants(self._overlay, node))
        for name, recipe in self._overlay.run(node).items():
            if name in self._read:
                left_out = costly and not self._overlay.is_made(name, recipe)
                if left_out:
                    self._overlay.save_none(name)
                else:
                    self._overlay.save(name, recipe)
                # Controls of judges follow from no row; their calls are expected beside those about rows.
                if ALL_SHARDS_TAG not in node.tags:
                    self._expect(node, name, left_out=left_out)

    def _stand_in(self, node: Node) -> None:
        for name, fresh in self._overlay.stand_in(node).items():
            self._kinds[name] = set[str]().union(*(self._kinds[given] for given in node.inputs))
            if not fresh:
                self._kinds[name].add(ASSUMED)
                self.notes[f"{name}: known once all rows are there; taken as last written, which may be empty"] = None

    def _expect(self, node: Node, table: str, *, left_out: bool = False) -> None:
        """Say how many rows of a table would come of rows that wait for a call, and what its rows rest on.

        Args:
            node: makes the table.
            table: its name.
            left_out: the node did not run, so that all of its rows are still to come.
        """
        self._kinds[table] = set[str]().union(*(self._kinds[name] for name in node.inputs))
        stage = self._stages.get(table)
        parents = parents_of(self._overlay, node, stage.given if stage else ())
        absent = [self._missing(name) for name in parents]
        visible = [self._overlay.shards(name) for name in parents]
        missing = {shard: sum(rows[shard] for rows in absent) for shard in self._weights}
        if left_out:
            missing = {shard: rows + sum(given[shard].count for given in visible) for shard, rows in missing.items()}
        if not any(missing.values()):
            return
        seen = (0, 0) if left_out else (sum(given.count for given in visible), self._overlay.shards(table).count)
        several = stage is not None and stage.per and table in stage.kept
        declared = self._drawn_per_row(node) if several else None
        rate = rate_of(self._overlay, self._options, self._answered_by, node, table, parents, seen, declared)
        self._unknown[table] = {shard: rate.value * rows for shard, rows in missing.items()}
        self._kinds[table].add(rate.kind)
        self.notes[told(table, parents, rate)] = None

    def _drawn_per_row(self, node: Node) -> float | None:
        """Samples, or calls, about each row, where a node reads the replies to them."""
        asked = (found for found in self._calls.values() if found.table in node.inputs)
        return next((found.samples_per_row() for found in asked), None)

    def _missing(self, table: str) -> dict[str, float]:
        """Rows of each shard of a table that are not there or wait for a call."""
        waiting = self._overlay.waiting(table)
        return {shard: rows + waiting[shard] for shard, rows in self._unknown[table].items()}

    def _ask(self, node: Node) -> None:
        name = model_of(node, self._catalog) or ""
        model = self._overlay.constant(name)
        counter = PromptCounter(find_tokenizer(model.name, self._options.tokenizer.get(name)), self._options.few)
        calls = self._calls[node.name] = StageCalls(node, self._overlay, counter, self._options)
        self._answered_by[calls.table] = model.name
        missing = self._missing(calls.given)
        self._asked_about[node.name] = sum(self._weights[shard] * rows for shard, rows in missing.items())
        calls.look()
        if stood_in := calls.sampled.stood_in:
            self._kinds[calls.table].add(MEASURED)
            note = f"{calls.name}: {stood_in:,} earlier replies stand in for those to come, in what is asked later"
            self.notes[note] = None

    def _estimate(self, found: StageCalls) -> StageEstimate:
        shards = [(self._weights[shard], calls) for shard, calls in found.sampled.shards.items()]
        unknown = self._asked_about[found.node.name]
        name, thinks = self._name_of(found), self._thinks(found)
        reply = found.reply_tokens(thinks)
        calls = sum(weight * item.calls for weight, item in shards)
        prompt_tokens = sum(weight * item.prompt_tokens for weight, item in shards) * found.counter.factor
        reply_tokens = sum(
            weight * made * found.reply_tokens(thinks, known).value
            for weight, item in shards
            for known, made in item.to_make.items()
        )
        kinds = {COUNTED if self.looked.whole else SAMPLED, *self._kinds[found.given], *found.sampled.foreseen_by}
        prompts_are = found.counter.how
        rows = unknown + sum(weight * item.rows for weight, item in shards)
        if unknown:
            per_row, each = found.calls_per_row(), found.prompt_tokens()
            drawn = sum(weight * item.about_controls for weight, item in shards)
            coming = unknown * per_row.value + max(0.0, found.calls_about_controls(rows) - drawn)
            calls += coming
            prompt_tokens += coming * each.value
            reply_tokens += coming * reply.value
            kinds.add(per_row.kind)
            prompts_are = each.kind
        if calls:
            self.notes[f"{found.name}: {reply.value:,.0f} tokens a reply ({reply.kind}: {reply.told})"] = None
        tokens = prompt_tokens + reply_tokens
        takes, by = self._hours(found, calls, tokens)
        paid = sum(weight * item.paid for weight, item in shards)
        paid_tokens = sum(weight * item.paid_tokens for weight, item in shards)
        return StageEstimate(
            stage=found.name,
            model=name,
            served_as=found.model.name,
            rows=rows,
            paid=paid,
            calls=calls,
            prompt_tokens=prompt_tokens,
            reply_tokens=reply_tokens,
            calls_are=weakest(kinds),
            prompts_are=prompts_are if calls else "",
            replies_are=reply.kind if calls else "",
            hours=takes,
            hours_are=by,
            money=cost(read_prices(self._catalog).of(name), prompt_tokens, reply_tokens),
            stop_rule=self._with_and_without(found, rows, paid + calls, paid_tokens + tokens, all_ended=not calls),
        )

    def _with_and_without(
        self, found: StageCalls, rows: float, calls: float, tokens: float, *, all_ended: bool
    ) -> StopRuleEstimate | None:
        """All samples of a stage with its stop rule and without; None where it has none, or nothing to ask about.

        Args:
            found: the stage.
            rows: problems of the run.
            calls: with the rule.
            tokens: of these.
            all_ended: whether no sample is to come.
        """
        rule = found.stop_rule
        if rule is None or rule.fixed is not None or not rows:
            return None
        each = found.draws.calls_of_sample
        most = rows * rule.schedule[-1]
        replies = found.draws.tokens_of_sample or each * found.reply_tokens(self._thinks(found)).value
        of_most = most * (each * found.prompt_tokens().value + replies)
        ruled, fixed = (
            Drawing(made / each / rows, made, used, self._hours(found, made, used)[0])
            for made, used in ((calls, tokens), (most * each, of_most))
        )
        told = found.draws.told(all_ended=all_ended)
        return StopRuleEstimate(ruled, fixed, f"{told.kind}: {told.told}")

    def _hours(self, found: StageCalls, calls: float, tokens: float) -> tuple[float | None, str]:
        speed = self._options.throughput.get(self._name_of(found))
        return hours(found.model, speed, calls, tokens)

    def _thinks(self, found: StageCalls) -> float:
        """Tokens that the stage's model thinks before a reply, where none was measured."""
        return self._options.reasoning_tokens.get(self._name_of(found), 0)

    def _name_of(self, found: StageCalls) -> str:
        """Name of the stage's model in the catalog."""
        return model_of(found.node, self._catalog) or ""


def _constants(overlay: Overlay, node: Node) -> list[str]:
    return [name for name in node.inputs if not overlay.is_table(name)]
