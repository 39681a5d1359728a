"""Forum dump -> threads that a model can read."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.raw_data.nodes import (
    check_records,
    find_reposts,
    prepare_dump,
    sample_threads,
    summarise_raw_data,
)


def create_pipeline() -> Pipeline:
    """Reject what cannot be read, find reposts, prepare, sample, count."""
    return Pipeline(
        [
            Node(
                check_records,
                inputs=["forum_dump", "params:raw_data"],
                outputs="raw_data_rejected",
                name="check_records",
            ),
            Node(
                find_reposts,
                inputs=["forum_dump", "params:raw_data"],
                outputs=["reposts", "repost_replies"],
                name="find_reposts",
            ),
            Node(
                prepare_dump,
                inputs=["forum_dump", "reposts", "repost_replies", "problem_tokenizer", "params:raw_data"],
                outputs="prepared_threads",
                name="prepare_dump",
            ),
            Node(
                sample_threads,
                inputs=["prepared_threads", "params:raw_data"],
                outputs="forum_threads",
                name="sample_threads",
            ),
            Node(
                summarise_raw_data,
                inputs=["raw_data_rejected", "reposts", "prepared_threads", "forum_threads", "params:raw_data"],
                outputs="raw_data_summary",
                name="summarise_raw_data",
            ),
        ],
        namespace="raw_data",
        prefix_datasets_with_namespace=False,
    )
