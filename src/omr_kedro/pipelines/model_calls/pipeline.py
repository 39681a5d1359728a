"""Every table of completions -> calls and tokens by stage, model and prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from typing import Any

import pandas as pd
from kedro.pipeline import Node, Pipeline

from omr_kedro.llm.endpoint import Prices
from omr_kedro.pipelines.model_calls.nodes import AskedStage, count_calls

_COMPLETIONS, _MODEL = "_completions", "_model"


def create_pipeline(pipelines: Iterable[Pipeline]) -> Pipeline:
    """Count the calls of the stages of pipelines, in their order."""
    stages = list(asked_stages(pipelines))
    tables = {stage.completions: stage.completions for stage in stages}
    return Pipeline(
        [
            Node(
                _counting(stages),
                inputs={"prices": "params:prices", **tables},
                outputs="model_calls",
                name="count_calls",
            )
        ],
        namespace="model_calls",
        prefix_datasets_with_namespace=False,
    )


def asked_stages(pipelines: Iterable[Pipeline]) -> Iterator[AskedStage]:
    """The stages that ask a model: their nodes have the tag `gpu` and make a table `<stage>_completions`."""
    for node in dict.fromkeys(node for pipeline in pipelines for node in pipeline.nodes):
        if "gpu" in node.tags:
            completions = next(name for name in node.outputs if name.endswith(_COMPLETIONS))
            model = next(name for name in node.inputs if name.endswith(_MODEL))
            yield AskedStage(completions.removesuffix(_COMPLETIONS), completions, model)


def _counting(stages: Sequence[AskedStage]) -> Callable[..., pd.DataFrame]:
    """A node's function that takes each table as an argument, as Kedro gives them; Kedro-Viz shows `count_calls`."""

    @wraps(count_calls)
    def counted(prices: dict[str, Any], **tables: Any) -> pd.DataFrame:
        known = Prices.model_validate(prices)
        return count_calls(stages, tables, lambda model, *tokens: known.of(model).of(*tokens))

    return counted
