"""A group at work, in the parent and in jobs: its nodes run on some shards, by hand.

A node returns recipes (`shards.Recipe`), so running one costs nothing; saving its outputs does the work. The parent
saves only what needs no job: tables all of whose calls were paid for, and what is made of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Node
from pydantic import BaseModel

from omr_kedro.datasets import ResourceDataset, ShardsDataset
from omr_kedro.llm.calls import CallPlan, Prompt
from omr_kedro.llm.endpoint import Spending
from omr_kedro.llm.engine import ChatModel, PaidCalls, is_paid
from omr_kedro.resources import Resource
from omr_kedro.sandbox import Sandbox, Usage
from omr_kedro.shards import Recipe, Source, code_digest
from omr_kedro.shards.identity import fingerprint


class GroupWork:
    """The nodes of a group and what they read and write."""

    def __init__(self, nodes: Sequence[Node], catalog: CatalogProtocol[Any, Any]) -> None:
        self.nodes = nodes
        names = {name for node in nodes for name in (*node.inputs, *node.outputs)}
        # All of them now: a catalog makes its datasets when they are first asked for, and is not made for lanes.
        self._datasets = {name: catalog.get(name) for name in names}
        # Loaded once, so that all shards share one model, one index of benchmarks and one reading of each prompt.
        self.constants: dict[str, Any] = {
            name: catalog.load(name)
            for node in nodes
            for name in node.inputs
            if not isinstance(self._datasets[name], ShardsDataset)
        }

        self.spending = Spending()
        """The account of its models; whoever makes calls opens it (`allowance.open_account`)."""

    @property
    def named_models(self) -> dict[str, ChatModel]:
        """The models that the group asks, by their names in the catalog."""
        return {name: value for name, value in self.constants.items() if isinstance(value, ChatModel)}

    @property
    def models(self) -> list[ChatModel]:
        """The models that the group asks; one, unless somebody groups otherwise."""
        return list(self.named_models.values())

    @property
    def sandboxes(self) -> list[Sandbox]:
        """Sandboxes in which the group has code run."""
        return [value for value in self.constants.values() if isinstance(value, Sandbox)]

    @property
    def code_run(self) -> Usage:
        """Use that was made of them in this process."""
        return sum((sandbox.metrics.usage for sandbox in self.sandboxes), Usage())

    def release(self) -> None:
        """End what the group's resources have started: servers, processes, indexes."""
        for dataset in self._datasets.values():
            if isinstance(dataset, ResourceDataset):
                dataset.release()

    @property
    def settings(self) -> dict[str, str]:
        """Digest of everything but tables that decides what is made, by name of the dataset; and of the code."""
        code = code_digest(*(node.func for node in self.nodes))
        return {"code": code, **{name: _digest(value) for name, value in sorted(self.constants.items())}}

    def shard_ids(self) -> list[str]:
        """The shards of the first table that the group reads.

        Raises:
            DatasetError: it is not finished.
        """
        made = {name for node in self.nodes for name in node.outputs}
        tables = [name for node in self.nodes for name in node.inputs if name not in made | set(self.constants)]
        return list(self._table(tables[0]).load())

    def pending(self, ids: Iterable[str], *, settled: bool = True) -> list[str]:
        """Those of the shards for which some node has something to do; see `TableStore.pending`."""
        every = list(ids)
        alive = every
        for node in self.nodes:
            for name, recipe in self.recipes(node, alive).items():
                stale = set(self._table(name).pending(recipe, settled=settled))
                alive = [shard_id for shard_id in alive if shard_id not in stale]
        return [shard_id for shard_id in every if shard_id not in set(alive)]

    def take_through(self, shard_id: str, number: int) -> Iterable[tuple[Node, int]]:
        """Make all tables of one shard; yields each node when its tables are written, and how many rows that were.

        Args:
            shard_id: the shard.
            number: its place among the shards of this job. Calls are made stage by stage, and within a stage shard by
                shard: calls that share a template run together, which is what a server's prefix cache wants.
        """
        for stage, node in enumerate(self.nodes):
            rows = 0
            for name, recipe in self.recipes(node, [shard_id]).items():
                if isinstance(recipe, CallPlan):
                    recipe = replace(recipe, priority=(stage, number))  # noqa: PLW2901
                if self._table(name).save_part(recipe):
                    rows += self._table(name).load_part([shard_id]).count
            yield node, rows

    def take_paid(self, shard_id: str) -> bool:
        """Make the tables of one shard, one after the other, as long as none of them needs a job.

        Returns:
            Whether all of them are made. Else the shard needs a job from there on.
        """
        if not self._may_be_paid(shard_id):
            return False
        for table, recipe in self._pending_tables(shard_id):
            if isinstance(recipe, CallPlan):
                if not is_paid(recipe, shard_id, table.store.scratch(shard_id)):
                    return False
                table.save_part(PaidCalls(recipe))
            else:
                table.save_part(recipe)
        return True

    def needs_job(self, shard_id: str) -> bool:
        """Whether `take_paid` is certain to leave some of a shard to a job; makes nothing.

        Of calls about rows that are still to be made, nothing is certain.
        """
        if not self._may_be_paid(shard_id):
            return True
        try:
            for table, recipe in self._pending_tables(shard_id):
                if not isinstance(recipe, CallPlan):
                    return False
                if not is_paid(recipe, shard_id, table.store.scratch(shard_id)):
                    return True
        except FileNotFoundError:  # a table of the group that is made before the next one can be looked at
            pass
        return False

    def _may_be_paid(self, shard_id: str) -> bool:
        """Whether it is worth looking: nothing is rendered for a shard that some stage was never asked about.

        A group without a model has jobs for the work itself, so that the parent makes none of it.
        """
        asking = [node for node in self.nodes if any(isinstance(self.constants.get(n), ChatModel) for n in node.inputs)]
        tables = [self._table(name) for node in asking for name in node.outputs]
        return bool(tables) and all(table.store.begun(shard_id) for table in tables)

    def _pending_tables(self, shard_id: str) -> Iterator[tuple[ShardsDataset, Recipe]]:
        """The tables that are to be made of one shard, each looked for when those before it were taken."""
        for node in self.nodes:
            for name, recipe in self.recipes(node, [shard_id]).items():
                if self._table(name).store.pending_part(recipe):
                    yield self._table(name), recipe

    def recipes(self, node: Node, ids: Sequence[str]) -> dict[str, Recipe]:
        """Recipes of the tables that a node would make of some shards, by the name of the table.

        Raises:
            FileNotFoundError: a table that it reads lacks one of them.
        """
        inputs = {
            name: self.constants[name] if name in self.constants else self._table(name).load_part(ids)
            for name in node.inputs
        }
        return node.run(inputs) if ids else {}

    def _table(self, name: str) -> ShardsDataset:
        dataset = self._datasets[name]
        assert isinstance(dataset, ShardsDataset), "checked before anything was submitted"  # noqa: S101
        return dataset


def _digest(value: Any) -> str:
    if isinstance(value, Prompt):
        return value.hash
    if isinstance(value, Resource):
        return fingerprint(value.identity)
    if isinstance(value, Source):
        return value.digest()
    if isinstance(value, BaseModel):
        return fingerprint(value.model_dump(mode="json"))
    return fingerprint(repr(value))
