"""Problems -> samples of chain-of-thought solutions, and their votes."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.solve_cot.nodes import ask_solve_cot, count_cot_votes, read_solve_cot
from omr_kedro.pipelines.stages import AskingStage


def create_pipeline() -> Pipeline:
    """Draw samples of each problem, and let them vote."""
    stage = AskingStage("solve_cot", model="cot_model")
    return Pipeline(
        [
            stage.ask(ask_solve_cot, "solve_problems"),
            stage.read(read_solve_cot, "solve_problems", kept=["cot_samples"], per="problem"),
            Node(
                count_cot_votes,
                inputs=["solve_problems", "cot_samples", "params:solve_cot"],
                outputs="cot_votes",
                name="count_cot_votes",
                tags="by_shard",
            ),
        ],
        namespace="solve_cot",
        prefix_datasets_with_namespace=False,
    )
