"""Which node runs where: in this process, or in Slurm jobs."""

from omr_kedro.runners.configured import ConfiguredRunner
from omr_kedro.runners.runner import SessionSpec, SlurmOptions, SlurmRunner

__all__ = ["ConfiguredRunner", "SessionSpec", "SlurmOptions", "SlurmRunner"]
