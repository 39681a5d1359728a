"""Solutions -> summaries that state the same answer."""

from omr_kedro.pipelines.summarise_cot.pipeline import create_pipeline

__all__ = ["create_pipeline"]
