"""All problems -> problems whose answer, if they have one, is an answer."""

from omr_kedro.pipelines.assess_answers.pipeline import create_pipeline

__all__ = ["create_pipeline"]
