"""Solutions and wrong samples -> groups of candidates."""

from omr_kedro.pipelines.group_candidates.pipeline import create_pipeline

__all__ = ["create_pipeline"]
