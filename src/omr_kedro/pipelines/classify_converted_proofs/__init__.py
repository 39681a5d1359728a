"""Questions made of proofs -> those that are open, not answered by yes or no, and valid."""

from omr_kedro.pipelines.classify_converted_proofs.pipeline import create_pipeline

__all__ = ["create_pipeline"]
