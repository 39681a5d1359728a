"""Samples and judgements -> solutions, rejected samples, and the reference answer of each problem."""

from omr_kedro.pipelines.settle_solutions.pipeline import create_pipeline

__all__ = ["create_pipeline"]
