"""Every table -> the funnel."""

from omr_kedro.pipelines.report.pipeline import create_pipeline

__all__ = ["create_pipeline"]
