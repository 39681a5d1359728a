"""Model names -> files that can be served."""

from omr_kedro.pipelines.model_preparation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
