"""Solutions that compute -> those whose code was of use."""

from omr_kedro.pipelines.judge_usefulness.pipeline import create_pipeline

__all__ = ["create_pipeline"]
