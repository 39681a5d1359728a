"""Raw records -> threads."""

from omr_kedro.pipelines.prepare_threads.pipeline import create_pipeline

__all__ = ["create_pipeline"]
