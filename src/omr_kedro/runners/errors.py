"""Errors of runners and jobs."""

from omr_kedro.shards import OmrError


class RunnerConfigError(OmrError):
    """`runner.yml` or `--runner-params` cannot be used."""


class ParameterError(OmrError):
    """A section of the parameters that is not for a node cannot be used."""


class UnsharedDatasetError(OmrError):
    """A job would need data that lives in the memory of this process."""


class NoPlaceToRunError(OmrError):
    """Neither Slurm nor what a local model needs is here."""


class SlurmError(OmrError):
    """Slurm refused something."""


class JobFailedError(OmrError):
    """A job ended without having done its work."""
