"""Completions of all stages -> calls and tokens by stage, model and prompt."""

from omr_kedro.pipelines.model_calls.pipeline import create_pipeline

__all__ = ["create_pipeline"]
