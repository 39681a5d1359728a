"""The opening of a run that asks a model: one line on what it will do, one on exams, and the check of its endpoints."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from omr_kedro.datasets import ChatModelDataset, ShardsDataset, SourceDataset
from omr_kedro.hooks.exam_notice import exam_command, exam_notice
from omr_kedro.hooks.inputs import chat_models, input_datasets
from omr_kedro.lineage.progress import steps_on_disk
from omr_kedro.llm.engine import ModelSession, check_endpoint
from omr_kedro.screen import say
from omr_kedro.shards.errors import MissingTableError
from omr_kedro.shards.printable import printable, printable_path

logger = logging.getLogger(__name__)


class RunOpening:
    """Says before the first call what a run reads, whom it asks, and what it may spend; then checks whom it asks.

    An endpoint is checked at once where some table of replies is not there, so that there is something to ask; else
    before the first call, if there is one. The session adds this to runs that make something.
    """

    @hook_impl(trylast=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Open the run, after all checks that cost nothing.

        Raises:
            EndpointError: an endpoint would answer no call.
            NotExaminedError: the run must not begin with models that were not examined.
        """
        models = chat_models(pipeline, catalog)
        if not models:
            return
        say(printable(opening_line(pipeline, catalog, models)))
        if notice := exam_notice(pipeline, catalog, exam_command(run_params)):
            say(printable(notice))
        remote = {name: model.load().session for name, model in models.items() if model.remote}
        check = _Checks()
        for session in remote.values():
            session.check_first(check)
        unfinished = [session for name, session in remote.items() if not _all_there(name, pipeline, catalog)]
        different = {session.entry.asked_as: session for session in reversed(unfinished)}.values()
        with ThreadPoolExecutor(max(1, len(different))) as pool:
            list(pool.map(ModelSession.check_now, different))


class _Checks:
    """The checks of a run's endpoints: one for all models that are asked in the same way."""

    def __init__(self) -> None:
        self._done: set[tuple[object, ...]] = set()

    async def __call__(self, session: ModelSession) -> None:
        """Check a session's endpoint, unless another session's check was the same."""
        if session.entry.asked_as in self._done:
            return
        reached = await check_endpoint(session)
        self._done.add(session.entry.asked_as)
        if reached.doubt:
            logger.warning("%s %s; the run tries all the same.", session.entry.place, reached.doubt)


def opening_line(pipeline: Pipeline, catalog: DataCatalog, models: Mapping[str, ChatModelDataset]) -> str:
    """Input, models, limit of spending and steps that are paid for, as far as they are known for nothing."""
    given = {name: text for name, dataset in input_datasets(pipeline, catalog).items() if (text := _in_words(dataset))}
    # Controls of judges are nobody's input, but an exam has no other.
    inputs = [text for name, text in given.items() if not name.endswith("_gold")] or given.values()
    sessions = [model.load().session for model in models.values()]
    asked = dict.fromkeys(session.entry.place for session in sessions)
    limits = {session.spending.limits.tell() for session in sessions}
    paid = sum(steps_on_disk(table.store) for name in models for table in _replies(name, pipeline, catalog))
    return (
        f"Reads {', '.join(inputs) or 'no table'}; asks {', '.join(asked)}; {', '.join(sorted(limits))}; "
        f"{f'{paid:,} steps' if paid else 'no step'} of earlier runs on disk."
    )


def _in_words(dataset: object) -> str:
    if isinstance(dataset, SourceDataset):
        return dataset.summary()
    if isinstance(dataset, ShardsDataset):
        with suppress(MissingTableError):
            return f"{printable_path(dataset.store.folder)} ({dataset.load().count:,} rows)"
    return ""


def _replies(model: str, pipeline: Pipeline, catalog: DataCatalog) -> list[ShardsDataset]:
    """The tables that nodes make by asking a model."""
    tables = [catalog.get(name) for node in pipeline.nodes if model in node.inputs for name in node.outputs]
    return [table for table in tables if isinstance(table, ShardsDataset)]


def _all_there(model: str, pipeline: Pipeline, catalog: DataCatalog) -> bool:
    return all(table.store.complete for table in _replies(model, pipeline, catalog))
