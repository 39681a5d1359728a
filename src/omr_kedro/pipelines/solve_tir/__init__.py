"""Problems -> samples of solutions that compute, and their votes."""

from omr_kedro.pipelines.solve_tir.pipeline import create_pipeline

__all__ = ["create_pipeline"]
