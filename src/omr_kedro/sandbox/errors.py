"""Errors of the sandbox itself; what a cell does wrong is a result."""

from __future__ import annotations

from omr_kedro.shards import OmrError


class SandboxError(OmrError):
    """The sandbox does not start."""


class SandboxRefusedError(SandboxError):
    """This machine offers too little to run a stranger's code; says what was tried, and the ways out."""


class NoProcessError(Exception):
    """A session's process could not be started, though the sandbox runs; memory may be short."""
