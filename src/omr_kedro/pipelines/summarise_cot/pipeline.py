"""Solutions -> summaries that state the same answer."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.stages import AskingStage
from omr_kedro.pipelines.summarise_cot.nodes import ask_summarise_cot, list_summaries, read_summarise_cot


def create_pipeline() -> Pipeline:
    """Draw summaries of long solutions, and choose one of each."""
    stage = AskingStage("summarise_cot", prompt="summarise_solution_prompt", model="summary_model")
    return Pipeline(
        [
            stage.ask(ask_summarise_cot, "cot_solutions"),
            Node(
                list_summaries,
                inputs=["cot_solutions", stage.completions, "params:summarise_cot"],
                outputs="cot_summary_candidates",
                name="list_summaries",
                tags="by_shard",
            ),
            stage.read(
                read_summarise_cot,
                "cot_solutions",
                "cot_summary_candidates",
                kept=["cot_summaries"],
                unit="solution",
            ),
        ],
        namespace="summarise_cot",
        prefix_datasets_with_namespace=False,
    )
