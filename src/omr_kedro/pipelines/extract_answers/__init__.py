"""Valid problems -> problems with the answers that their threads give."""

from omr_kedro.pipelines.extract_answers.pipeline import create_pipeline

__all__ = ["create_pipeline"]
