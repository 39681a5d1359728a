"""Assessed problems -> problems that are asked once."""

from omr_kedro.pipelines.deduplicate.pipeline import create_pipeline

__all__ = ["create_pipeline"]
