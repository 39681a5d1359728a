"""The engine: makes the calls of a plan, journals each, and gives the finished shards."""

from omr_kedro.llm.engine.chat_model import ChatModel
from omr_kedro.llm.engine.check import Reached, check_endpoint
from omr_kedro.llm.engine.model_entry import ModelEntry
from omr_kedro.llm.engine.replay import PaidCalls, ReadOnlyJournal, is_paid, replayed
from omr_kedro.llm.engine.session import ModelSession

__all__ = [
    "ChatModel",
    "ModelEntry",
    "ModelSession",
    "PaidCalls",
    "Reached",
    "ReadOnlyJournal",
    "check_endpoint",
    "is_paid",
    "replayed",
]
