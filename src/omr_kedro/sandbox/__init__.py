"""A sandbox: sessions of Python in which code that a model wrote runs, as an ordinary user and without a container."""

from omr_kedro.sandbox.errors import SandboxError, SandboxRefusedError
from omr_kedro.sandbox.limits import CUT_MARK, Limits, Result, Status
from omr_kedro.sandbox.metrics import Metrics, Usage
from omr_kedro.sandbox.pool import MODULES, Isolation, Plan, Pool
from omr_kedro.sandbox.probe import Report, check_machine, probe
from omr_kedro.sandbox.sandbox import Sandbox, SandboxSession
from omr_kedro.sandbox.session import Session

__all__ = [
    "CUT_MARK",
    "MODULES",
    "Isolation",
    "Limits",
    "Metrics",
    "Plan",
    "Pool",
    "Report",
    "Result",
    "Sandbox",
    "SandboxError",
    "SandboxRefusedError",
    "SandboxSession",
    "Session",
    "Status",
    "Usage",
    "check_machine",
    "probe",
]
