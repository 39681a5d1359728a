"""Calls as values: prompts, requests, completions, plans of calls, and the errors of calls. No I/O."""

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
    "CallError",
    "CallPlan",
    "Completion",
    "ContextError",
    "EndpointError",
    "Example",
    "Message",
    "Model",
    "ModelServerError",
    "Prompt",
    "PromptError",
    "Request",
    "Sampling",
    "SpendingLimitError",
    "StoppedError",
    "TooManyFailuresError",
]
