"""Local model servers end with the last node that needs them."""

from __future__ import annotations

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ChatModelDataset
from omr_kedro.hooks.inputs import chat_models


class ModelServers:
    """Stops each local server after the last node that needs it."""

    def __init__(self) -> None:
        self._users: list[tuple[ChatModelDataset, set[str]]] = []

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Note which nodes ask which model."""
        self._users = [
            (model, {node.name for node in pipeline.nodes if name in node.inputs})
            for name, model in chat_models(pipeline, catalog).items()
        ]

    @hook_impl
    def after_dataset_saved(self, node: Node) -> None:
        """Stop a server when its last asking node has ended: the calls are made while that node's table is saved."""
        for model, users in self._users:
            if node.name in users:
                users.discard(node.name)
                if not users:
                    model.release()

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Stop all servers."""
        self._stop_all()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Stop all servers."""
        self._stop_all()

    def _stop_all(self) -> None:
        for model, _ in self._users:
            model.release()
