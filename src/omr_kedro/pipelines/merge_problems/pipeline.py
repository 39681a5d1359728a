"""Answered problems and converted proofs -> all problems."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.merge_problems.nodes import merge_problems


def create_pipeline() -> Pipeline:
    """One table of both branches."""
    return Pipeline(
        [
            Node(
                merge_problems,
                inputs=["answered_problems", "valid_converted_proofs"],
                outputs=["all_problems", "merge_problems_dropped"],
                name="merge_problems",
                tags="by_shard",
            )
        ],
        namespace="merge_problems",
        prefix_datasets_with_namespace=False,
    )
