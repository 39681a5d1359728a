"""Proofs -> questions."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.convert_proofs.nodes import ask_convert_proofs, read_convert_proofs


def create_pipeline() -> Pipeline:
    """Ask for a question in place of each proof, read the replies."""
    return Pipeline(
        [
            Node(
                ask_convert_proofs,
                inputs=["proofs", "convert_proofs_prompt", "problem_model", "params:convert_proofs"],
                outputs="convert_proofs_completions",
                name="ask_convert_proofs",
                tags="gpu",
            ),
            Node(
                read_convert_proofs,
                inputs=["proofs", "convert_proofs_completions", "params:convert_proofs"],
                outputs=["converted_proofs", "convert_proofs_dropped"],
                name="read_convert_proofs",
                tags="by_shard",
            ),
        ],
        namespace="convert_proofs",
        prefix_datasets_with_namespace=False,
    )
