"""Problems -> problems to be solved, split anew."""

from omr_kedro.pipelines.split_problems.pipeline import create_pipeline

__all__ = ["create_pipeline"]
