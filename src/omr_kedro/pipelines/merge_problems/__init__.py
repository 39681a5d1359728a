"""Answered problems and converted proofs -> all problems."""

from omr_kedro.pipelines.merge_problems.pipeline import create_pipeline

__all__ = ["create_pipeline"]
