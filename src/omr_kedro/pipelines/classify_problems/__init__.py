"""Problems -> proofs, and problems with a checkable answer."""

from omr_kedro.pipelines.classify_problems.pipeline import create_pipeline

__all__ = ["create_pipeline"]
