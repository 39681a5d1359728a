"""Votes -> a judgement on the answer of each class of samples."""

from omr_kedro.pipelines.judge_answers.pipeline import create_pipeline

__all__ = ["create_pipeline"]
