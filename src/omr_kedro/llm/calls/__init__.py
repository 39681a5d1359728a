"""Calls as values: prompts, requests, completions, plans of calls, and the errors of calls. No I/O."""

from omr_kedro.llm.calls.episode import (
    Ask,
    CodeRunner,
    CodeSession,
    Episode,
    EpisodeLimits,
    EpisodeOptions,
    StepFailedError,
    Steps,
)
from omr_kedro.llm.calls.errors import (
    CallError,
    ContextError,
    EndpointError,
    ModelServerError,
    SpendingLimitError,
    StoppedError,
    TooManyFailuresError,
)
from omr_kedro.llm.calls.plan import CallPlan, Model
from omr_kedro.llm.calls.prompt import Example, Message, Prompt, PromptError
from omr_kedro.llm.calls.request import Completion, Request, Sampling

__all__ = [
    "Ask",
    "CallError",
    "CallPlan",
    "CodeRunner",
    "CodeSession",
    "Completion",
    "ContextError",
    "EndpointError",
    "Episode",
    "EpisodeLimits",
    "EpisodeOptions",
    "Example",
    "Message",
    "Model",
    "ModelServerError",
    "Prompt",
    "PromptError",
    "Request",
    "Sampling",
    "SpendingLimitError",
    "StepFailedError",
    "Steps",
    "StoppedError",
    "TooManyFailuresError",
]
