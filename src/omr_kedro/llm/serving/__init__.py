"""Local model servers: files, processes, vLLM's options, models that several nodes serve."""

from omr_kedro.llm.serving.model_files import ModelFiles, ModelFilesError, check_servable
from omr_kedro.llm.serving.process import ServerSpec
from omr_kedro.llm.serving.team import TEAM_OPTIONS, Team

__all__ = ["TEAM_OPTIONS", "ModelFiles", "ModelFilesError", "ServerSpec", "Team", "check_servable"]
