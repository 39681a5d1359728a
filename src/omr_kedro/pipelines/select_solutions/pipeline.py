"""Groups of candidates -> comparisons, each with the candidate that it chooses."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.select_solutions.nodes import (
    ask_select_solutions,
    list_selections,
    read_select_solutions,
    report_positions,
)
from omr_kedro.pipelines.stages import AskingStage


def create_pipeline() -> Pipeline:
    """Ask for the best candidate of each group, keep the right choices, count choices by position."""
    stage = AskingStage("select_solutions", prompt="select_solution_prompt", model="genselect_model")
    return Pipeline(
        [
            stage.ask(ask_select_solutions, "candidate_groups"),
            Node(
                list_selections,
                inputs=["candidate_groups", stage.completions],
                outputs="selections",
                name="list_selections",
                tags="by_shard",
            ),
            stage.read(
                read_select_solutions, "candidate_groups", "selections", kept=["right_selections"], unit="group"
            ),
            Node(report_positions, inputs="selections", outputs="selection_positions", name="report_positions"),
        ],
        namespace="select_solutions",
        prefix_datasets_with_namespace=False,
    )
