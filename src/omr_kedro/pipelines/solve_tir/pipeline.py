"""Problems -> samples of solutions that compute, and their votes."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.solve_tir.nodes import (
    ask_solve_tir,
    count_tir_votes,
    list_tir_turns,
    read_solve_tir,
    take_reference_answers,
)
from omr_kedro.pipelines.stages import AskingStage


def create_pipeline() -> Pipeline:
    """Have a conversation with the sandbox for each sample of each problem, and let the samples vote."""
    stage = AskingStage("solve_tir", model="tir_model")
    return Pipeline(
        [
            Node(
                take_reference_answers,
                inputs=["solve_problems", "reference_answers"],
                outputs="tir_problems",
                name="take_reference_answers",
                tags="by_shard",
            ),
            stage.ask(ask_solve_tir, "tir_problems", "python_sandbox"),
            stage.read(read_solve_tir, "tir_problems", kept=["tir_samples"], per="problem"),
            Node(
                list_tir_turns,
                inputs=["tir_problems", stage.completions, "solve_tir_prompt", "params:solve_tir"],
                outputs="tir_turns",
                name="list_tir_turns",
                tags="by_shard",
            ),
            Node(
                count_tir_votes,
                inputs=["tir_problems", "tir_samples", "params:solve_tir"],
                outputs="tir_votes",
                name="count_tir_votes",
                tags="by_shard",
            ),
        ],
        namespace="solve_tir",
        prefix_datasets_with_namespace=False,
    )
