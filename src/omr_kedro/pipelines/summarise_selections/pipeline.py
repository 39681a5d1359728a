"""Right comparisons -> summaries that make the same choice."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.stages import AskingStage
from omr_kedro.pipelines.summarise_selections.nodes import (
    ask_summarise_selections,
    list_selection_summaries,
    read_summarise_selections,
)


def create_pipeline() -> Pipeline:
    """Draw summaries of long comparisons, and choose one of each."""
    stage = AskingStage("summarise_selections", prompt="summarise_selection_prompt", model="summary_model")
    return Pipeline(
        [
            stage.ask(ask_summarise_selections, "right_selections"),
            Node(
                list_selection_summaries,
                inputs=["right_selections", stage.completions, "params:summarise_selections"],
                outputs="selection_summary_candidates",
                name="list_selection_summaries",
                tags="by_shard",
            ),
            stage.read(
                read_summarise_selections,
                "right_selections",
                "selection_summary_candidates",
                kept=["selection_summaries"],
                unit="selection",
            ),
        ],
        namespace="summarise_selections",
        prefix_datasets_with_namespace=False,
    )
