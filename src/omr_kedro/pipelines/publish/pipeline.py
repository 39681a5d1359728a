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
    given,
    publish_additional_problems,
    publish_cot,
    publish_genselect,
    publish_problems,
    publish_rejected,
    publish_tir,
)
from omr_kedro.pipelines.publish.views import (
    publish_genselect_rl,
    publish_preferences,
    publish_rl_view,
    publish_sft_view,
    select_for_sft,
)
from omr_kedro.publishing.publication import Publication
from omr_kedro.publishing.views import RL, SFT
from omr_kedro.shards import Shards

OPTIONS, VIEWS = "params:publish", "params:publish_views"
NOT_USEFUL = "judge_usefulness_dropped"
_COMPARISONS = {"comparisons_funnel": "genselect_funnel", "right_selections": "right_selections"}


def create_pipeline(modes: Sequence[str] = (COT, TIR, GENSELECT)) -> Pipeline:
    """Publish each config, count its rows and compare them with the tables.

    Args:
        modes: kinds of solutions that the project makes.
    """
    solving = [mode for mode in (COT, TIR) if mode in modes]
    comparisons = ["genselect_rl"] if GENSELECT in modes else []
    configs = [mode for mode in (COT, TIR, GENSELECT) if mode in modes]
    configs += ["problems", "additional_problems", "rejected", *SFT, *RL, "preferences", *comparisons]
    tables = [f"{mode}_{kind}" for mode in solving for kind in ("solutions", "rejected")]
    return Pipeline(
        [
            *(_of_mode(mode) for mode in (COT, TIR, GENSELECT) if mode in modes),
            Node(
                given(publish_rejected, solving),
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
            *_views(solving),
            *(
                Node(
                    publish_genselect_rl,
                    inputs=["candidate_groups", "published_problems", "published_rejected", VIEWS, OPTIONS],
                    outputs=f"published_{view}",
                    name=f"publish_{view}",
                )
                for view in comparisons
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
                    "selection": "sft_selection",
                    **{name: name for name in tables},
                    **(_COMPARISONS if GENSELECT in modes else {}),
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
        TIR: (publish_tir, ["tir_solutions", "tir_usefulness", "extract_fragments_dropped", NOT_USEFUL]),
        GENSELECT: (publish_genselect, ["selections", "selection_summaries", "published_problems"]),
    }
    function, inputs = functions[mode]
    return Node(function, inputs=[*inputs, OPTIONS], outputs=f"published_{mode}", name=f"publish_{mode}")


def _views(modes: Sequence[str]) -> list[Node]:
    solutions = [f"published_{mode}" for mode in modes]
    known = ["published_problems", "published_rejected"]
    return [
        Node(
            select_for_sft if TIR in modes else given(select_for_sft, Shards([])),
            inputs=[*([NOT_USEFUL] if TIR in modes else []), *known, "sft_tokenizer", VIEWS, *solutions],
            outputs="sft_selection",
            name="select_for_sft",
        ),
        *(
            Node(
                given(publish_sft_view, view),
                inputs=["sft_selection", *known, "chat_template", VIEWS, *solutions],
                outputs=f"published_{view}",
                name=f"publish_{view}",
            )
            for view in SFT
        ),
        *(
            Node(
                given(publish_rl_view, view),
                inputs=[*known, VIEWS],
                outputs=f"published_{view}",
                name=f"publish_{view}",
            )
            for view in RL
        ),
        Node(
            publish_preferences,
            inputs=["sft_selection", *known, VIEWS, *solutions],
            outputs="published_preferences",
            name="publish_preferences",
        ),
    ]
