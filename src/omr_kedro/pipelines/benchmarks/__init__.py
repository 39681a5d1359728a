"""Published benchmarks -> one table."""

from omr_kedro.pipelines.benchmarks.pipeline import create_pipeline

__all__ = ["create_pipeline"]
