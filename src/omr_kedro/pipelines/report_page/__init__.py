"""Funnels, calls, votes and solutions -> one page for people."""

from omr_kedro.pipelines.report_page.pipeline import create_pipeline

__all__ = ["create_pipeline"]
