"""Right comparisons -> summaries that make the same choice."""

from omr_kedro.pipelines.summarise_selections.pipeline import create_pipeline

__all__ = ["create_pipeline"]
