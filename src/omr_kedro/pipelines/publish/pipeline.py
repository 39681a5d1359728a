"""Tables -> the folder of a dataset that trainers load."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.publish.nodes import (
    COT,
    GENSELECT,
    TIR,
    check_published,
    count_published,
    of_names,
    publish_additional_problems,
    publish_cot,
    publish_genselect,
    publish_problems,
    publish_rejected,
    publish_tir,
)
from omr_kedro.publishing.publication import Publication

OPTIONS = "params:publish"


def create_pipeline(modes: Sequence[str] = (COT, TIR, GENSELECT)) -> Pipeline:
    """Publish each config, count its rows and compare them with the tables.

    Args:
        modes: kinds of solutions that the project makes.
    """
    solving = [mode for mode in (COT, TIR) if mode in modes]
    configs = [
        *(mode for mode in (COT, TIR, GENSELECT) if mode in modes),
        "problems",
        "additional_problems",
        "rejected",
    ]
    tables = [f"{mode}_{kind}" for mode in solving for kind in ("solutions", "rejected")]
    return Pipeline(
        [
            *(_of_mode(mode) for mode in (COT, TIR, GENSELECT) if mode in modes),
            Node(
                of_names(publish_rejected, solving),
                inputs=[OPTIONS, *(f"{mode}_rejected" for mode in solving)],
                outputs="published_rejected",
                name="publish_rejected",
            ),
            *(
                Node(
                    function,
                    inputs=["problems", "reference_answers", OPTIONS, *(f"published_{mode}" for mode in solving)],
                    outputs=f"published_{config}",
                    name=f"publish_{config}",
                )
                for config, function in (
                    ("problems", publish_problems),
                    ("additional_problems", publish_additional_problems),
                )
            ),
            Node(
                count_published,
                inputs={f"published_{config}": f"published_{config}" for config in configs},
                outputs="published_counts",
                name="count_published",
            ),
            Node(
                check_published,
                inputs={
                    "counts": "published_counts",
                    "funnel": "solutions_funnel",
                    "problems": "problems",
                    **{name: name for name in tables},
                },
                outputs=None,
                name="check_published",
            ),
        ],
        namespace="publish",
        prefix_datasets_with_namespace=False,
    )


def _of_mode(mode: str) -> Node:
    functions: dict[str, tuple[Callable[..., Publication], list[str]]] = {
        COT: (publish_cot, ["cot_solutions", "cot_summaries"]),
        TIR: (publish_tir, ["tir_solutions"]),
        GENSELECT: (publish_genselect, ["selections", "selection_summaries"]),
    }
    function, inputs = functions[mode]
    return Node(function, inputs=[*inputs, OPTIONS], outputs=f"published_{mode}", name=f"publish_{mode}")
