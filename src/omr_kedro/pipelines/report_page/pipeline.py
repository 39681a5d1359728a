"""Funnels, calls, votes and solutions -> one page for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from typing import Any

import pandas as pd
from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.report_page.nodes import ModeTables, write_report_page
from omr_kedro.publishing.facts import FUNNEL_REPORTS, DescriptionOptions, funnels_of


def create_pipeline(pipelines: Iterable[Pipeline]) -> Pipeline:
    """Write the page of the ways to solve that pipelines have."""
    modes = list(modes_of(name for pipeline in pipelines for node in pipeline.nodes for name in node.outputs))
    tables = {name: name for mode in modes for name in mode[1:] if name}
    return Pipeline(
        [
            Node(
                _writing(modes),
                inputs={
                    # First here and in the signature: Kedro finds a parameter's type by its place.
                    "options": "params:describe_dataset",
                    **{name: name for name in FUNNEL_REPORTS},
                    "calls": "model_calls",
                    **tables,
                },
                outputs="report_page",
                name="write_report_page",
            )
        ],
        namespace="report_page",
        prefix_datasets_with_namespace=False,
    )


def modes_of(made: Iterable[str]) -> Iterator[ModeTables]:
    """The ways to solve, by the tables that are made: each has a table `<mode>_solutions`."""
    names = dict.fromkeys(made)
    for solutions in names:
        if solutions.endswith("_solutions"):
            mode = solutions.removesuffix("_solutions")
            summaries = f"{mode}_summaries"
            # The answers that the first way has found are older than the rule for names.
            references = "reference_answers" if mode == "cot" else f"{mode}_reference_answers"
            yield ModeTables(mode, f"{mode}_votes", references, solutions, summaries if summaries in names else "")


def _writing(modes: Sequence[ModeTables]) -> Callable[..., str]:
    """A node's function that takes each table as an argument, as Kedro gives them."""

    @wraps(write_report_page)
    def written(
        options: DescriptionOptions,
        calls: pd.DataFrame,
        **given: Any,
    ) -> str:
        return write_report_page(options, modes, given, funnels_of(given), calls)

    return written
