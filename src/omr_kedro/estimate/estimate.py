"""The price of a run before it is paid: a sample of shards goes through all nodes, and nothing is asked."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ChatModelDataset, ResourceDataset, ShardsDataset
from omr_kedro.estimate.counting import PromptCounter, find_tokenizer
from omr_kedro.estimate.figures import (
    ASSUMED,
    COUNTED,
    MEASURED,
    SAMPLED,
    Estimate,
    StageEstimate,
    cost,
    hours,
    sums_by_model,
    weakest,
)
from omr_kedro.estimate.options import EstimateOptions
from omr_kedro.estimate.overlay import Overlay
from omr_kedro.estimate.rates import parents_of, rate_of, rows_given, tables_read, told
from omr_kedro.estimate.stage_calls import StageCalls
from omr_kedro.lineage.project_tables import is_completions
from omr_kedro.runners.account import parameter, read_prices
from omr_kedro.runners.first_split import first_split
from omr_kedro.runners.groups import BY_SHARD_TAG
from omr_kedro.shards import OmrError, Recipe, TableStore

_SHARDS_AT_FIRST = 8


class NothingToEstimateError(OmrError):
    """No node of the pipelines asks a model."""


def estimate(
    every: Pipeline, chosen: Pipeline, catalog: CatalogProtocol[Any, Any], sample: int | None = None
) -> Estimate:
    """Estimate what the chosen pipelines would still have to pay for.

    Args:
        every: all pipelines, so that stages before the chosen ones are known.
        chosen: those whose calls are wanted.
        catalog: of the run.
        sample: rows of the first table that are looked at, at least; None for what the parameters say.

    Raises:
        NothingToEstimateError: the chosen pipelines ask nothing.
        OmrError: inputs, prompts or parameters cannot be used.
    """
    asking = [node for node in chosen.nodes if _model_of(node, catalog)]
    if not asking:
        raise NothingToEstimateError("These pipelines ask no model, so they cost nothing but time.")
    options = parameter(catalog, "estimate", EstimateOptions)
    options.check_models(catalog)
    wanted = sample or options.sample
    needed = every.to_nodes(*(node.name for node in asking))
    found = first_split(needed, catalog)
    assert found, "stages begin with a table that is split out of files"  # noqa: S101
    first, split = found
    shards = list(next(iter(split.values())).fingerprints)
    count = _SHARDS_AT_FIRST
    try:
        while True:
            weights = choose(shards, _begun(needed, catalog), count)
            with tempfile.TemporaryDirectory(prefix="omr-estimate-") as folder:
                walk = Walk(needed, catalog, options, weights, Path(folder))
                rows = walk.begin(first, split)
                if rows >= wanted or len(weights) == len(shards):
                    return walk.finish(asking)
            # The input is small, so its shards hold few rows: once more, with enough of them.
            count = max(count + 1, ceil(len(weights) * wanted / max(rows, 1)))
    finally:
        for name in needed.inputs():
            if isinstance(dataset := catalog.get(name), ResourceDataset):
                dataset.release()


def _model_of(node: Node, catalog: CatalogProtocol[Any, Any]) -> str | None:
    return next((name for name in node.inputs if isinstance(catalog.get(name), ChatModelDataset)), None)


def _constants(overlay: Overlay, node: Node) -> list[str]:
    return [name for name in node.inputs if not overlay.is_table(name)]


def _store(name: str, catalog: CatalogProtocol[Any, Any]) -> TableStore | None:
    dataset = catalog.get(name)
    return dataset.store if isinstance(dataset, ShardsDataset) else None


def _begun(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> list[set[str]]:
    """For each table of completions: the shards that some call was made for."""
    stores = [_store(name, catalog) for node in pipeline.nodes for name in node.outputs]
    return [{*store.written(), *store.opened()} for store in stores if store and is_completions(store)]


def choose(shards: Sequence[str], begun: Sequence[Collection[str]], count: int) -> dict[str, float]:
    """About `count` shards to look at, each with how many it stands for.

    Shards for which the same stages have begun are alike, but for chance. Of each kind so many are taken as it has a
    share in the whole, and one at least, evenly spread.
    """
    kinds: dict[tuple[bool, ...], list[str]] = defaultdict(list)
    for shard in shards:
        kinds[tuple(shard in some for some in begun)].append(shard)
    weights: dict[str, float] = {}
    for alike in kinds.values():
        taken = min(len(alike), max(1, round(count * len(alike) / len(shards))))
        spread = [alike[number * len(alike) // taken] for number in range(taken)]
        weights |= dict.fromkeys(spread, len(alike) / taken)
    return {shard: weights[shard] for shard in shards if shard in weights}


class Walk:
    """One sample on its way through the pipeline."""

    def __init__(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        options: EstimateOptions,
        weights: Mapping[str, float],
        folder: Path,
    ) -> None:
        self._nodes = list(pipeline.nodes)
        self._given = rows_given(pipeline)
        self._read = {name for node in self._nodes for name in node.inputs}
        self._catalog = catalog
        self._options = options
        self._weights = weights
        self._overlay = Overlay(catalog, list(weights), folder)
        self._unknown: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(weights, 0.0))
        """Rows of a table that would come of rows that wait for a call, by shard."""
        self._kinds: dict[str, set[str]] = defaultdict(set)
        """Kinds of figures that the unknown rows of a table rest on."""
        self._notes: dict[str, None] = {}
        self._calls: dict[str, StageCalls] = {}
        self._asked_about: dict[str, float] = {}
        """Unknown rows that each asking node would ask about, of the whole run."""
        self._answered_by: dict[str, str] = {}
        """The model that is asked for a table of completions, by the name that the endpoint knows."""
        self.shards = round(sum(weights.values()))
        self._rows = 0

    def begin(self, first: Node, split: Mapping[str, Recipe]) -> int:
        """Take the sample's shards of the input; returns their rows."""
        self._nodes.remove(first)
        for name in split:
            if name in self._read:
                self._overlay.save(name, self._overlay.of_sample(split[name]))
                self._rows = max(self._rows, self._overlay.shards(name).count)
        return self._rows

    def finish(self, reported: Sequence[Node]) -> Estimate:
        """Run all nodes; says what the reported ones cost."""
        for node in self._nodes:
            if _model_of(node, self._catalog):
                self._ask(node)
            elif BY_SHARD_TAG in node.tags or not tables_read(self._overlay, node):
                self._derive(node)
            else:
                self._stand_in(node)
        names = {node.name for node in reported}
        stages = [self._estimate(calls) for name, calls in self._calls.items() if name in names]
        return Estimate(stages, sums_by_model(stages), len(self._weights), self.shards, self._rows, list(self._notes))

    def _derive(self, node: Node) -> None:
        costly = any(getattr(self._overlay.constant(name), "costly", False) for name in _constants(self._overlay, node))
        for name, recipe in self._overlay.run(node).items():
            if name in self._read:
                left_out = costly and not self._overlay.is_made(name, recipe)
                if left_out:
                    self._overlay.save_none(name)
                else:
                    self._overlay.save(name, recipe)
                self._expect(node, name, left_out=left_out)

    def _stand_in(self, node: Node) -> None:
        for name, fresh in self._overlay.stand_in(node).items():
            self._kinds[name] = set[str]().union(*(self._kinds[given] for given in node.inputs))
            if not fresh:
                self._kinds[name].add(ASSUMED)
                self._notes[f"{name}: known once all rows are there; taken as last written, which may be empty"] = None

    def _expect(self, node: Node, table: str, *, left_out: bool = False) -> None:
        """Say how many rows of a table would come of rows that wait for a call, and what its rows rest on.

        Args:
            node: makes the table.
            table: its name.
            left_out: the node did not run, so that all of its rows are still to come.
        """
        self._kinds[table] = set[str]().union(*(self._kinds[name] for name in node.inputs))
        parents = parents_of(self._overlay, node, self._given.get(table, ()))
        absent = [self._missing(name) for name in parents]
        visible = [self._overlay.shards(name) for name in parents]
        missing = {shard: sum(rows[shard] for rows in absent) for shard in self._weights}
        if left_out:
            missing = {shard: rows + sum(given[shard].count for given in visible) for shard, rows in missing.items()}
        if not any(missing.values()):
            return
        seen = (0, 0) if left_out else (sum(given.count for given in visible), self._overlay.shards(table).count)
        rate = rate_of(self._overlay, self._options, self._answered_by, node, table, parents, seen)
        self._unknown[table] = {shard: rate.value * rows for shard, rows in missing.items()}
        self._kinds[table].add(rate.kind)
        self._notes[told(table, parents, rate)] = None

    def _missing(self, table: str) -> dict[str, float]:
        """Rows of each shard of a table that are not there or wait for a call."""
        waiting = self._overlay.waiting(table)
        return {shard: rows + waiting[shard] for shard, rows in self._unknown[table].items()}

    def _ask(self, node: Node) -> None:
        name = _model_of(node, self._catalog) or ""
        model = self._overlay.constant(name)
        counter = PromptCounter(find_tokenizer(model.name, self._options.tokenizer.get(name)), self._options.few)
        calls = self._calls[node.name] = StageCalls(node, self._overlay, counter, self._options.few)
        self._answered_by[calls.table] = model.name
        missing = self._missing(calls.given)
        self._asked_about[node.name] = sum(self._weights[shard] * rows for shard, rows in missing.items())
        calls.look()
        if stood_in := calls.sampled.stood_in:
            self._kinds[calls.table].add(MEASURED)
            note = f"{calls.name}: {stood_in:,} earlier replies stand in for those to come, in what is asked later"
            self._notes[note] = None

    def _estimate(self, found: StageCalls) -> StageEstimate:
        weights, shards = self._weights, found.sampled.shards
        unknown = self._asked_about[found.node.name]
        calls = sum(weights[shard] * item.calls for shard, item in shards.items())
        prompt_tokens = (
            sum(weights[shard] * item.prompt_tokens for shard, item in shards.items()) * found.counter.factor
        )
        kinds = {COUNTED if len(weights) == self.shards else SAMPLED, *self._kinds[found.given]}
        prompts_are = found.counter.how
        name = _model_of(found.node, self._catalog) or ""
        reply = found.reply_tokens(self._options.reasoning_tokens.get(name, 0))
        if unknown:
            per_row, each = found.calls_per_row(), found.prompt_tokens()
            calls += unknown * per_row.value
            prompt_tokens += unknown * per_row.value * each.value
            kinds.add(per_row.kind)
            prompts_are = each.kind
        if calls:
            self._notes[f"{found.name}: {reply.value:,.0f} tokens a reply ({reply.kind}: {reply.told})"] = None
        speed = self._options.throughput.get(name)
        takes, by = hours(found.model, speed, calls, prompt_tokens + calls * reply.value)
        return StageEstimate(
            stage=found.name,
            model=name,
            served_as=found.model.name,
            rows=unknown + sum(weights[shard] * item.rows for shard, item in shards.items()),
            paid=sum(weights[shard] * item.paid for shard, item in shards.items()),
            calls=calls,
            prompt_tokens=prompt_tokens,
            reply_tokens=calls * reply.value,
            calls_are=weakest(kinds),
            prompts_are=prompts_are if calls else "",
            replies_are=reply.kind if calls else "",
            hours=takes,
            hours_are=by,
            money=cost(read_prices(self._catalog).of(name), prompt_tokens, calls * reply.value),
        )
