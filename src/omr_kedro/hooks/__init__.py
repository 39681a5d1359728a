"""Kedro's hooks around a run, a module for each job."""

from omr_kedro.hooks.account import RunAccount
from omr_kedro.hooks.opening import RunOpening
from omr_kedro.hooks.preflight import Preflight
from omr_kedro.hooks.resources import Resources
from omr_kedro.hooks.run_summary import RunSummary
from omr_kedro.hooks.stage_report import StageReport
from omr_kedro.hooks.terminal import Terminal
from omr_kedro.hooks.viz_record import VizRecord

__all__ = ["Preflight", "Resources", "RunAccount", "RunOpening", "RunSummary", "StageReport", "Terminal", "VizRecord"]
