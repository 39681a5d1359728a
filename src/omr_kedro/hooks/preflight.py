"""Checks before any work, and before anything is paid for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol, DataCatalog, DatasetError
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ChatModelDataset, Checked, PromptDataset
from omr_kedro.hooks.inputs import chat_models, input_datasets, python_sandboxes
from omr_kedro.pipelines.llm_stage import CallOptions
from omr_kedro.shards import OmrError


class Preflight:
    """Says at once everything that a prompt, a file, a parameter, a model or a sandbox lacks.

    The session makes it for each run, since it depends on the runner.
    """

    def __init__(self, *, served_here: bool) -> None:
        """Take note of where models will be served.

        Args:
            served_here: whether local servers start in this process, so that what they need must be installed here,
                and code that a model wrote runs on this machine.
        """
        self._served_here = served_here

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Check all that the run takes from outside.

        Raises:
            OmrError: the one thing that is wrong, or a list of all.
        """
        _check_all(self._checks(pipeline, catalog))

    def _checks(self, pipeline: Pipeline, catalog: DataCatalog) -> Iterator[Callable[[], None]]:
        """Models first, since without one nothing else matters."""
        if self._served_here:
            yield from (model.check_installed for model in chat_models(pipeline, catalog).values())
            yield from (sandbox.check_machine for sandbox in python_sandboxes(pipeline, catalog).values())
        datasets = input_datasets(pipeline, catalog).values()
        parameters = [catalog.load(name) for name in sorted(pipeline.inputs()) if name.startswith("params:")]
        for item in sorted([*datasets, *parameters], key=lambda item: not isinstance(item, ChatModelDataset)):
            if isinstance(item, Checked):
                yield item.check
        for node in pipeline.nodes:
            yield from _context_checks(node, catalog)


def check_inputs(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
    """Check files and prompts that a pipeline takes from outside; not whether its models can be asked.

    Raises:
        OmrError: the one thing that is wrong, or a list of all.
    """
    datasets = input_datasets(pipeline, catalog).values()
    _check_all(item.check for item in datasets if isinstance(item, Checked) and not isinstance(item, ChatModelDataset))


def _check_all(checks: Iterable[Callable[[], None]]) -> None:
    wrong: list[OmrError] = []
    for check in checks:
        try:
            check()
        except OmrError as error:
            wrong.append(error)
    if wrong:
        several = OmrError("Several things are in the way:\n" + "\n".join(f"- {error}" for error in wrong))
        raise wrong[0] if len(wrong) == 1 else several


def _context_checks(node: Node, catalog: DataCatalog) -> Iterator[Callable[[], None]]:
    """Checks that the replies of a node that asks have room in the context of its model."""
    given = {name: catalog.get(name) for name in node.inputs}
    models = [(name, dataset) for name, dataset in given.items() if isinstance(dataset, ChatModelDataset)]
    prompts = [dataset for dataset in given.values() if isinstance(dataset, PromptDataset)]
    sections = [(name, catalog.load(name)) for name in given if models and name.startswith("params:")]
    options = [(name.removeprefix("params:"), value) for name, value in sections if isinstance(value, CallOptions)]
    yield from (partial(_check_context, *each) for each in product(models, options, prompts))


def _check_context(
    model: tuple[str, ChatModelDataset], options: tuple[str, CallOptions], prompt: PromptDataset
) -> None:
    try:
        read = prompt.load()
    except DatasetError:
        return  # The check of the prompt itself has said why it cannot be read.
    name, dataset = model
    stage, allowed = options
    dataset.check_context(name, stage, read, allowed.max_tokens)
