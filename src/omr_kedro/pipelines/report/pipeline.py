"""Every table -> the funnel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

import pandas as pd
from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.report.nodes import check_funnel, count_funnel, count_reasons, plot_funnel
from omr_kedro.pipelines.stages import Stage, stages_of


def create_pipeline(pipelines: Iterable[Pipeline], prefix: str = "") -> Pipeline:
    """Count, check and draw the funnel.

    Args:
        pipelines: whose stages are counted, in their order.
        prefix: of the names of the namespace and of the datasets, where it is not the first funnel.
    """
    stages = stages_of(pipelines)
    funnel = f"{prefix}funnel"
    return Pipeline(
        [
            Node(
                _counting(count_funnel, stages),
                inputs=_by_name(name for stage in stages for name in stage.tables),
                outputs=funnel,
                name="count_funnel",
            ),
            Node(
                _counting(count_reasons, stages),
                inputs=_by_name(stage.dropped for stage in stages),
                outputs=f"{funnel}_reasons",
                name="count_reasons",
            ),
            Node(check_funnel, inputs=funnel, outputs=None, name="check_funnel"),
            Node(plot_funnel, inputs=funnel, outputs=f"{funnel}_plot", name="plot_funnel"),
        ],
        namespace=f"{prefix}report",
        prefix_datasets_with_namespace=False,
    )


def _counting(count: Callable[..., pd.DataFrame], stages: Sequence[Stage]) -> Callable[..., pd.DataFrame]:
    """A node's function that takes each table as an argument, as Kedro gives them; Kedro-Viz shows `count` itself."""

    @wraps(count)
    def counted(**tables: Any) -> pd.DataFrame:
        return count(stages, tables)

    return counted


def _by_name(names: Iterable[str]) -> dict[str, str]:
    return {name: name for name in names}
