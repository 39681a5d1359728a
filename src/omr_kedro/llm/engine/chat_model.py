"""A chat model that nodes can ask."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from omr_kedro.llm.calls.plan import CallPlan
from omr_kedro.llm.engine.engine import Engine
from omr_kedro.llm.engine.model_entry import ModelEntry
from omr_kedro.llm.engine.session import ModelSession
from omr_kedro.shards import Finished, Scratch


class ChatModel:
    """A model behind an OpenAI-compatible endpoint, with the session that all who ask it share.

    As nodes see it: `calls.Model`. As runs and jobs see it: `resources.Resource`.
    """

    def __init__(self, entry: ModelEntry) -> None:
        self.entry = entry
        self.session = ModelSession(entry)

    @property
    def name(self) -> str:
        """The name that the endpoint knows the model by."""
        return self.entry.name

    @property
    def identity(self) -> str:
        """All of the model that decides its replies."""
        return self.entry.identity

    def close(self) -> None:
        """Stop the local server, if one runs; the next call starts it again."""
        self.session.stop_server()

    def make_calls(
        self, plan: CallPlan, pending: Sequence[str], scratch: Callable[[str], Scratch]
    ) -> Generator[Finished, None, None]:
        """Make the calls of a plan; see `Engine.run`."""
        return Engine(plan, self.session, pending, scratch).run()
