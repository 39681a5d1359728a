"""Where one row comes from: every call that was made about it, and every decision, in the order of the pipeline."""

from omr_kedro.lineage.calls import Call
from omr_kedro.lineage.find import UnknownIdError
from omr_kedro.lineage.parts import SampleWay
from omr_kedro.lineage.screen import show
from omr_kedro.lineage.trace import Decision, Lineage, Step, trace

__all__ = ["Call", "Decision", "Lineage", "SampleWay", "Step", "UnknownIdError", "show", "trace"]
