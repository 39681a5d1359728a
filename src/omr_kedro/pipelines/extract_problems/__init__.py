"""Threads -> problems."""

from omr_kedro.pipelines.extract_problems.pipeline import create_pipeline

__all__ = ["create_pipeline"]
