"""Tables -> the folder of a dataset that trainers load."""

from omr_kedro.pipelines.publish.pipeline import create_pipeline

__all__ = ["create_pipeline"]
