"""The cost of a run, by stage and model, before anything is paid: `kedro estimate`."""

from omr_kedro.estimate.estimate import NothingToEstimateError, estimate
from omr_kedro.estimate.figures import Estimate, StageEstimate
from omr_kedro.estimate.view import show

__all__ = ["Estimate", "NothingToEstimateError", "StageEstimate", "estimate", "show"]
