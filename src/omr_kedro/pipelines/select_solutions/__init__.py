"""Groups of candidates -> comparisons, each with the candidate that it chooses."""

from omr_kedro.pipelines.select_solutions.pipeline import create_pipeline

__all__ = ["create_pipeline"]
