"""Assessed problems -> problems that are asked once."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.deduplicate.nodes import drop_duplicates, find_duplicates


def create_pipeline() -> Pipeline:
    """Find the copies of a problem among all threads, keep the best of them."""
    return Pipeline(
        [
            # Not by shard: a copy may be in any of them.
            Node(
                find_duplicates,
                inputs=["assessed_problems", "threads", "params:deduplicate"],
                outputs="duplicates",
                name="find_duplicates",
            ),
            Node(
                drop_duplicates,
                inputs=["assessed_problems", "duplicates"],
                outputs=["distinct_problems", "deduplicate_dropped"],
                name="drop_duplicates",
                tags="by_shard",
            ),
        ],
        namespace="deduplicate",
        prefix_datasets_with_namespace=False,
    )
