"""Problems -> problems to be solved, split anew."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.split_problems.nodes import split_problems


def create_pipeline() -> Pipeline:
    """Choose the problems, and split them by their ids."""
    return Pipeline(
        [
            Node(
                split_problems,
                inputs=["problems", "answer_quality", "params:split_problems", "shards_of_solutions"],
                outputs=["split_problems_dropped", "solve_problems"],
                name="split_problems",
            )
        ],
        namespace="split_problems",
        prefix_datasets_with_namespace=False,
    )
