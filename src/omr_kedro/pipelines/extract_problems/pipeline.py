"""Threads -> problems."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.extract_problems.nodes import ask_extract_problems, read_extract_problems


def create_pipeline() -> Pipeline:
    """Ask for the problems of each post, read the replies."""
    return Pipeline(
        [
            Node(
                ask_extract_problems,
                inputs=["threads", "extract_problems_prompt", "problem_model", "params:extract_problems"],
                outputs="extract_problems_completions",
                name="ask_extract_problems",
                tags="gpu",
            ),
            Node(
                read_extract_problems,
                inputs=["threads", "extract_problems_completions", "params:extract_problems"],
                outputs=["extracted_problems", "extract_problems_dropped"],
                name="read_extract_problems",
                tags="by_shard",
            ),
        ],
        namespace="extract_problems",
        prefix_datasets_with_namespace=False,
    )
