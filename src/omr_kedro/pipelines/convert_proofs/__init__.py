"""Proofs -> questions."""

from omr_kedro.pipelines.convert_proofs.pipeline import create_pipeline

__all__ = ["create_pipeline"]
