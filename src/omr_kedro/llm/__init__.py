"""From requests to completions: prompts, the client, its limits, the journal and local model servers."""

from omr_kedro.llm.asking import Asking
from omr_kedro.llm.client import Constraint
from omr_kedro.llm.endpoint import Endpoint, Limits
from omr_kedro.llm.errors import (
    EndpointError,
    ModelServerError,
    SpendingLimitError,
    StoppedError,
    TooManyFailuresError,
)
from omr_kedro.llm.model import ChatModel
from omr_kedro.llm.model_files import ModelFiles, ModelFilesError, check_servable
from omr_kedro.llm.process import ServerSpec
from omr_kedro.llm.prompt import Example, Message, Prompt, PromptError
from omr_kedro.llm.request import Completion, Request, Sampling
from omr_kedro.llm.spending import GO_ON, Price, Spending, SpendingLimits, Spent
from omr_kedro.llm.team import TEAM_OPTIONS, Team

__all__ = [
    "GO_ON",
    "TEAM_OPTIONS",
    "Asking",
    "ChatModel",
    "Completion",
    "Constraint",
    "Endpoint",
    "EndpointError",
    "Example",
    "Limits",
    "Message",
    "ModelFiles",
    "ModelFilesError",
    "ModelServerError",
    "Price",
    "Prompt",
    "PromptError",
    "Request",
    "Sampling",
    "ServerSpec",
    "Spending",
    "SpendingLimitError",
    "SpendingLimits",
    "Spent",
    "StoppedError",
    "Team",
    "TooManyFailuresError",
    "check_servable",
]
