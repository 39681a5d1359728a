"""One endpoint: the HTTP client, how hard it may be asked, and what its calls take."""

from omr_kedro.llm.calls.prices import Price, Prices
from omr_kedro.llm.endpoint.client import ChatClient, Constraint
from omr_kedro.llm.endpoint.http import ClientKind, HttpClient
from omr_kedro.llm.endpoint.limits import Limits
from omr_kedro.llm.endpoint.spending import GO_ON, Spending, SpendingLimits, Spent

__all__ = [
    "GO_ON",
    "ChatClient",
    "ClientKind",
    "Constraint",
    "HttpClient",
    "Limits",
    "Price",
    "Prices",
    "Spending",
    "SpendingLimits",
    "Spent",
]
