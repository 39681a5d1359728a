"""Which node runs where: in this process, or in Slurm jobs."""

from omr_kedro.runners.configured import ConfiguredRunner, load_runner, make_runner
from omr_kedro.runners.options import SlurmOptions
from omr_kedro.runners.runner import SlurmRunner
from omr_kedro.runners.submission import SessionSpec

__all__ = [
    "ConfiguredRunner",
    "SessionSpec",
    "SlurmOptions",
    "SlurmRunner",
    "load_runner",
    "make_runner",
]
