"""The published dataset and the run's reports -> its card and its Croissant metadata."""

from omr_kedro.pipelines.describe_dataset.pipeline import create_pipeline

__all__ = ["create_pipeline"]
