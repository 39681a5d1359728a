"""The account that the calls of a run are charged to."""

from __future__ import annotations

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from omr_kedro.hooks.inputs import chat_models
from omr_kedro.runners.account import open_account


class RunAccount:
    """Holds the calls of a run to what it may spend (parameters `spending` and `prices`)."""

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Open one account for all models of this process."""
        open_account(catalog, {name: dataset.load() for name, dataset in chat_models(pipeline, catalog).items()})
