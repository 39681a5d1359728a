"""Distinct problems -> problems that no benchmark asks."""

from omr_kedro.pipelines.decontaminate.pipeline import create_pipeline

__all__ = ["create_pipeline"]
