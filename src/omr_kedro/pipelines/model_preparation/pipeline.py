"""Model names -> files that can be served."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.model_preparation.nodes import check_models


def create_pipeline() -> Pipeline:
    """Download (by loading), check, write the manifest."""
    return Pipeline(
        [
            Node(
                check_models,
                inputs=["model_files", "params:model_preparation"],
                outputs="model_manifest",
                name="check_models",
            )
        ],
        namespace="model_preparation",
        prefix_datasets_with_namespace=False,
    )
