"""Raw records -> threads."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.prepare_threads.nodes import prepare_threads


def create_pipeline() -> Pipeline:
    """Check, identify and shard the threads."""
    return Pipeline(
        [
            Node(
                prepare_threads,
                inputs=["raw_threads", "params:prepare_threads", "shards_of_workspace"],
                outputs=["threads_dropped", "threads"],
                name="prepare_threads",
            )
        ],
        namespace="prepare_threads",
        prefix_datasets_with_namespace=False,
    )
