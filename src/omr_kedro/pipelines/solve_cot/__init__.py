"""Problems -> samples of chain-of-thought solutions, and their votes."""

from omr_kedro.pipelines.solve_cot.pipeline import create_pipeline

__all__ = ["create_pipeline"]
