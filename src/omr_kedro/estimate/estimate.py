"""The price of a run before it is paid: a sample of shards goes through all nodes, and nothing is asked.

The way has a leg for each time that rows are split: a sample of one leg's shards says nothing of the next one's, whose
shards hold rows of all of them. Where a leg's own table is there, its shards are sampled; else it goes on with the rows
that the sample of the leg before it gives.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Collection, Sequence
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from kedro.io import CatalogProtocol
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ResourceDataset, ShardsDataset
from omr_kedro.estimate.figures import Estimate, Sample, sums_by_model
from omr_kedro.estimate.options import EstimateOptions
from omr_kedro.estimate.walk import Looked, Walk, model_of
from omr_kedro.lineage.project_tables import is_completions, splits
from omr_kedro.runners.account import parameter
from omr_kedro.shards import OmrError, TableStore

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
    asking = [node.name for node in chosen.nodes if model_of(node, catalog)]
    if not asking:
        raise NothingToEstimateError("These pipelines ask no model, so they cost nothing but time.")
    options = parameter(catalog, "estimate", EstimateOptions)
    options.check_models(catalog)
    needed = every.to_nodes(*asking)
    try:
        with tempfile.TemporaryDirectory(prefix="omr-estimate-") as folder:
            walks, samples = _Way(needed, catalog, options, sample or options.sample, Path(folder)).walked()
            stages = [stage for walk in walks for stage in walk.estimates(asking)]
            notes = dict.fromkeys(note for walk in walks for note in walk.notes)
            return Estimate(stages, sums_by_model(stages), samples, list(notes))
    finally:
        for name in needed.inputs():
            if isinstance(dataset := catalog.get(name), ResourceDataset):
                dataset.release()


class Leg(NamedTuple):
    """Nodes from where rows are split to where they are split anew."""

    split: Node
    nodes: list[Node]

    @property
    def table(self) -> str:
        """The first table of the split that the other nodes read."""
        read = {name for node in self.nodes for name in node.inputs}
        return next(name for name in self.split.outputs if name in read)


def legs_of(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> list[Leg]:
    """The legs of a pipeline: each node goes with the last split that its inputs have come by.

    Where no rows are split by their ids, as in an exam, the way begins with what is made of files.
    """
    begin = [node for node in pipeline.nodes if splits(node, catalog)]
    legs = [Leg(node, []) for node in begin or pipeline.grouped_nodes[0]]
    places = {name: place for place, leg in enumerate(legs) for name in leg.split.outputs}
    heads = {leg.split for leg in legs}
    for node in pipeline.nodes:
        if node not in heads:
            place = max((places.get(name, 0) for name in node.inputs), default=0)
            legs[place].nodes.append(node)
            places |= dict.fromkeys(node.outputs, place)
    return legs


class _Way:
    """The walks of an estimate, one for each leg."""

    def __init__(
        self, needed: Pipeline, catalog: CatalogProtocol[Any, Any], options: EstimateOptions, wanted: int, folder: Path
    ) -> None:
        self._legs = legs_of(needed, catalog)
        self._needed = needed
        self._catalog = catalog
        self._options = options
        self._wanted = wanted
        """Rows that are looked at of each leg, at least."""
        self._folder = folder

    def walked(self) -> tuple[list[Walk], list[Sample]]:
        """The walks, each to its end, and the samples that they looked at."""
        first, *others = self._legs
        walk, sample = self._first(first)
        walk.run()
        walks, samples = [walk], [sample]
        for leg in others:
            walk, found = self._next(leg, walks[-1])
            walk.run()
            walks.append(walk)
            samples += [found] if found else []
        return walks, samples

    def _first(self, leg: Leg) -> tuple[Walk, Sample]:
        """The walk through the first leg, with enough shards to hold the wanted rows."""
        split = leg.split.run({name: self._catalog.load(name) for name in leg.split.inputs})
        shards = list(split[leg.table].fingerprints)
        count = _SHARDS_AT_FIRST
        while True:
            weights = choose(shards, self._begun(leg), count)
            taken = len(weights)
            walk = self._walk(leg, Looked(weights, taken == len(shards)))
            rows = walk.begin(split)
            if rows >= self._wanted or taken == len(shards):
                return walk, Sample(leg.table, taken, len(shards), rows)
            # The input is small, so its shards hold few rows: once more, with enough of them.
            count = max(count + 1, ceil(taken * self._wanted / max(rows, 1)))

    def _next(self, leg: Leg, before: Walk) -> tuple[Walk, Sample | None]:
        """The walk through a later leg."""
        handed = before.hand_over(leg.split, leg.table)
        store = _store(leg.table, self._catalog)
        written = store.written() if store else []
        there = store.part(written).count if store else 0
        if not there:
            weights = dict.fromkeys(handed.recipe.fingerprints, handed.weight)
            walk = self._walk(leg, Looked(weights, before.looked.whole), before)
            walk.go_on_with(leg.table, handed, own=False, unknown=handed.unknown)
            return walk, None
        expected = there if handed.is_made else handed.expected
        count = max(_SHARDS_AT_FIRST, ceil(len(written) * self._wanted / there))
        weights = choose(written, self._begun(leg), count)
        share = min(1.0, expected / there)
        weights = {shard: share * weight for shard, weight in weights.items()}
        walk = self._walk(leg, Looked(weights, len(weights) == len(written)), before)
        rows = walk.go_on_with(leg.table, handed, own=True, unknown=max(0.0, expected - there))
        return walk, Sample(leg.table, len(weights), len(written), rows)

    def _walk(self, leg: Leg, looked: Looked, before: Walk | None = None) -> Walk:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        return Walk(leg.nodes, self._needed, self._catalog, self._options, looked, folder, before)

    def _begun(self, leg: Leg) -> list[set[str]]:
        """For each table of completions: the shards that some call was made for."""
        stores = [_store(name, self._catalog) for node in leg.nodes for name in node.outputs]
        return [{*store.written(), *store.opened()} for store in stores if store and is_completions(store)]


def _store(name: str, catalog: CatalogProtocol[Any, Any]) -> TableStore | None:
    dataset = catalog.get(name)
    return dataset.store if isinstance(dataset, ShardsDataset) else None


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
