"""A report of a run for people: one page of HTML that needs no network and runs no script."""

from omr_kedro.publishing.report.page import Example, ModeCounts, Report, report_page

__all__ = ["Example", "ModeCounts", "Report", "report_page"]
