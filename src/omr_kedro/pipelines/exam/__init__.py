"""Gold rows -> marks, scores and verdicts of the models that the stages ask."""

from omr_kedro.pipelines.exam.pipeline import create_pipeline

__all__ = ["create_pipeline"]
