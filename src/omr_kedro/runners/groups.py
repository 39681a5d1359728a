"""Which nodes are dispatched together.

A group is a connected set of nodes that map shards to shards, need the same model and the same resources. One job
starts one model server and takes its shards through all of them. What lies between two nodes of a group is in the group
as well, so that no group ever waits for its own result.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.stages import ALL_SHARDS_TAG

GPU_TAG = "gpu"
"""On nodes that ask a model. They map shards to shards."""
BY_SHARD_TAG = "by_shard"
"""On other nodes that map shards to shards, so that they may run in the jobs of their neighbours, or in jobs of their
own."""


@dataclass(frozen=True)
class Group:
    """Nodes that one job runs, in an order in which they can run."""

    name: str
    nodes: tuple[Node, ...]

    @property
    def inputs(self) -> set[str]:
        """Datasets that come from outside the group."""
        return {name for node in self.nodes for name in node.inputs} - self.outputs

    @property
    def outputs(self) -> set[str]:
        """Datasets that the group makes."""
        return {name for node in self.nodes for name in node.outputs}


def find_groups(pipeline: Pipeline, label: Callable[[Node], Hashable | None]) -> list[Group]:
    """The groups of a pipeline, in an order in which they can run.

    Args:
        pipeline: nodes of all kinds.
        label: nodes with equal labels may share a job; None for one with `GPU_TAG` that is not dispatched, and for one
            with `BY_SHARD_TAG` that goes where its neighbours go.
    """
    parents = pipeline.node_dependencies
    placed: dict[Node, tuple[Hashable, int]] = {}
    for node in pipeline.nodes:
        placed[node] = _place(node, {parent: placed[parent] for parent in parents[node]}, label)
    members: dict[Node, list[Node]] = {}
    for node in pipeline.nodes:
        if not isinstance(placed[node][0], Node):
            _join(node, [parent for parent in parents[node] if placed[parent] == placed[node]], members)
    # Nodes that only went along need no jobs when those that they went along with have gone.
    groups = {id(nodes): nodes for nodes in members.values() if any(label(node) is not None for node in nodes)}
    order = {node: number for number, node in enumerate(pipeline.nodes)}
    return [
        Group(_short_name(nodes[0]), tuple(nodes))
        for nodes in sorted(
            (sorted(nodes, key=order.__getitem__) for nodes in groups.values()), key=lambda n: order[n[0]]
        )
    ]


def _place(
    node: Node, parents: dict[Node, tuple[Hashable, int]], label: Callable[[Node], Hashable | None]
) -> tuple[Hashable, int]:
    """Label and level of a node. The level rises with each change of label on any path, which keeps groups whole."""
    own = label(node) if GPU_TAG in node.tags or _maps_shards(node) else None
    if own is None and _maps_shards(node):
        # A node without a model goes with the last of the groups that it reads from.
        labels = [(level, str(found), found) for found, level in parents.values() if not isinstance(found, Node)]
        own = max(labels, key=lambda item: item[:2])[2] if labels else None
    mine: Hashable = node if own is None else own
    return mine, max((level + (theirs != mine) for theirs, level in parents.values()), default=0)


def _maps_shards(node: Node) -> bool:
    """Whether a node that asks no model may run in jobs, each of which has some of the shards."""
    return BY_SHARD_TAG in node.tags and ALL_SHARDS_TAG not in node.tags


def _join(node: Node, relatives: list[Node], members: dict[Node, list[Node]]) -> None:
    together = [node]
    for relative in relatives:
        if not any(relative is other for other in together):
            together += [other for other in members[relative] if other not in together]
    for member in together:
        members[member] = together


def _short_name(node: Node) -> str:
    return node.name.rpartition(".")[2].removeprefix("ask_")
