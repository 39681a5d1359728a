"""Resources of a run end with the last node that uses them."""

from __future__ import annotations

from collections.abc import Callable

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ResourceDataset
from omr_kedro.hooks.inputs import input_datasets


class Resources:
    """Ends what each resource of the run has started (a server, processes, an index) after the last node that uses it.

    Kedro does so itself for what nodes make, and never for what a pipeline is given.
    """

    def __init__(self) -> None:
        self._uses: dict[str, set[tuple[str, str]]] = {}
        """Of each resource: the nodes that take it and the tables that they make, as long as these are not there."""
        self._release: Callable[[str], None] = lambda _: None

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Note which nodes use which resource."""
        self._release = catalog.release
        self._uses = {
            name: {(node.name, output) for node in pipeline.nodes if name in node.inputs for output in node.outputs}
            for name, dataset in input_datasets(pipeline, catalog).items()
            if isinstance(dataset, ResourceDataset)
        }

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Release what no later node uses: nodes return recipes, so the work is done when their tables are saved."""
        for name, uses in self._uses.items():
            if (node.name, dataset_name) in uses:
                uses.discard((node.name, dataset_name))
                if not uses:
                    self._release(name)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Release all resources."""
        self._release_all()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Release all resources."""
        self._release_all()

    def _release_all(self) -> None:
        for name in self._uses:
            self._release(name)
