"""Forum dump -> threads that a model can read."""

from omr_kedro.pipelines.raw_data.pipeline import create_pipeline

__all__ = ["create_pipeline"]
