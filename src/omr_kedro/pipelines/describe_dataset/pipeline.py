"""The published dataset and the run's reports -> its card and its Croissant metadata."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import pandas as pd
from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.describe_dataset.nodes import describe_dataset
from omr_kedro.pipelines.judging_stage import CONTROL_REPORT
from omr_kedro.publishing.facts import FUNNEL_REPORTS, DescriptionOptions, funnels_of

_PUBLISHED, _COUNTS = "published_", "published_counts"
_JUDGES = [f"{judge}{CONTROL_REPORT}" for judge in ("decontaminate", "judge_cot", "judge_tir")]
"""Reports on the pairs whose verdict is known, of each judge."""


def create_pipeline(publishing: Pipeline) -> Pipeline:
    """Describe the configs that a pipeline publishes: each is a dataset `published_<config>`."""
    made = [name for node in publishing.nodes for name in node.outputs]
    configs = [name for name in made if name.startswith(_PUBLISHED) and name != _COUNTS]
    return Pipeline(
        [
            Node(
                _describing(configs),
                inputs={
                    # First here and in the signature: Kedro finds a parameter's type by its place.
                    "options": "params:describe_dataset",
                    **{name: name for name in (*FUNNEL_REPORTS, *_JUDGES)},
                    "calls": "model_calls",
                    "contamination": "contamination_report",
                    "exam": "known_exam_report",
                    "earlier": "earlier_dataset_card",
                    **{name: name for name in configs},
                },
                outputs=["dataset_card", "dataset_croissant"],
                name="describe_dataset",
            )
        ],
        namespace="describe_dataset",
        prefix_datasets_with_namespace=False,
    )


def _describing(configs: Sequence[str]) -> Callable[..., tuple[str, dict[str, Any]]]:
    """A node's function that takes each config as an argument, as Kedro gives them."""

    @wraps(describe_dataset)
    def described(
        options: DescriptionOptions,
        calls: pd.DataFrame,
        contamination: pd.DataFrame,
        exam: pd.DataFrame | None,
        earlier: str | None,
        **given: Any,
    ) -> tuple[str, dict[str, Any]]:
        named = {name.removeprefix(_PUBLISHED): given[name] for name in configs}
        judges = [given[name] for name in _JUDGES]
        return describe_dataset(options, named, funnels_of(given), calls, contamination, judges, exam, earlier)

    return described
