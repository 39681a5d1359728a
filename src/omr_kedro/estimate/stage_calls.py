"""The calls of one stage in the sample: which are paid for, which are to be made, and how long they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kedro.pipeline import Node

from omr_kedro.estimate.counting import FROM_BYTES, FROM_SERVER, PromptCounter
from omr_kedro.estimate.figures import ASSUMED, MEASURED, SAMPLED
from omr_kedro.estimate.measured import CallMeans, call_means, row_rate
from omr_kedro.estimate.overlay import Overlay
from omr_kedro.estimate.rates import Rate, tables_read
from omr_kedro.llm.calls import CallPlan, Completion, Prompt, Request
from omr_kedro.llm.calls.token_estimate import estimate_prompt_tokens, estimate_reply_tokens
from omr_kedro.llm.engine import ChatModel, ReadOnlyJournal, replayed
from omr_kedro.shards import Row, Shard, Shards

_STAND_IN = 1000
_FIELD_ROWS = 500


@dataclass
class ShardCalls:
    """The calls of one shard."""

    rows: int = 0
    """Rows that are asked about."""
    paid: int = 0
    calls: int = 0
    prompt_tokens: float = 0
    """Of the calls to be made, before the counter's factor."""


@dataclass
class Sampled:
    """Findings from rendering all requests of a stage in the sample."""

    shards: dict[str, ShardCalls] = field(default_factory=dict)
    rendered: int = 0
    rendered_tokens: float = 0
    stood_in: int = 0
    """Calls to be made for which the reply to an earlier prompt goes on, in place of the one to come."""
    replies: list[int] = field(default_factory=list)
    """Tokens of those that are paid for."""


class StageCalls:
    """An asking node on the sample."""

    def __init__(self, node: Node, overlay: Overlay, counter: PromptCounter, few: int) -> None:
        self.node = node
        self.table = next(iter(node.outputs))
        self.given = tables_read(overlay, node)[0]
        constants = [overlay.constant(name) for name in node.inputs if not overlay.is_table(name)]
        self.model = next(value for value in constants if isinstance(value, ChatModel))
        self.prompt = next(value for value in constants if isinstance(value, Prompt))
        self.counter = counter
        self.sampled = Sampled()
        self._overlay = overlay
        self._few = few
        self._means: CallMeans | None = None

    def look(self) -> None:
        """Render every request, look for it among what is paid for, and withhold the rows that wait.

        A row that was asked about in another way goes on with the reply that it got: what later stages will be asked
        is mostly what they were asked, and paid for.
        """
        plan = self._overlay.run(self.node)[self.table]
        assert isinstance(plan, CallPlan), "a node with a model asks"  # noqa: S101
        self.name = plan.name
        visible = self._overlay.shards(self.given)
        self.sampled.shards = {shard: ShardCalls(rows=visible[shard].count) for shard in self._overlay.ids}
        self._overlay.save_paid(self.table, partial(self._look_at, plan))
        store = self._overlay.store(self.table)
        self._means = call_means(store, self.model.name, self.prompt.hash, self._few)

    def _look_at(self, plan: CallPlan, shard: str) -> Iterator[Row]:
        """The completions of one shard as later nodes are to see them; memory holds one at a time."""
        store = self._overlay.store(self.table)
        rows_now = store.part([shard]).rows() if shard in store.written() else ()
        found = self.sampled.shards[shard]
        waiting = set[str]()
        seen = set[str]()
        with (
            closing(ReadOnlyJournal(store.scratch(shard), self._overlay.folder)) as known,
            closing(self._overlay.index((_whose(row), row) for row in rows_now if not row["error_kind"])) as earlier,
        ):
            for played in replayed(plan, shard, known):
                for step in played.steps:
                    identity, key, request = step.identity, step.key, step.request
                    completion = known.completion(key) if key in known else None
                    if completion:
                        yield completion.row(identity)
                    elif stand_in := earlier[_whose(identity._asdict())]:
                        yield {**stand_in[-1], **identity._asdict()}
                        self.sampled.stood_in += 1
                    else:
                        waiting.add(played.row_id)
                    if request and key not in seen:  # equal calls of a shard are paid for once
                        seen.add(key)
                        self._count(found, request, completion)
        self._overlay.withhold(shard, waiting)

    def _count(self, found: ShardCalls, request: Request, paid: Completion | None) -> None:
        tokens = self.counter.count(request.messages, paid.prompt_tokens if paid else 0)
        self.sampled.rendered += 1
        self.sampled.rendered_tokens += tokens
        if paid:
            found.paid += 1
            self.sampled.replies += [paid.completion_tokens] if paid.completion_tokens else []
        else:
            found.calls += 1
            found.prompt_tokens += tokens

    def calls_per_row(self) -> Rate:
        """Calls for a row that does not exist yet."""
        rows = sum(shard.rows for shard in self.sampled.shards.values())
        if rows >= self._few:
            return Rate(self.sampled.rendered / rows, SAMPLED, "")
        own, given = self._overlay.store(self.table), self._overlay.store(self.given)
        if found := row_rate(own, [given], [(own, self.model.name)], self._few):
            return Rate(found.value, MEASURED, found.where)
        return Rate(self._declared(), ASSUMED, "as the stage declares")

    def prompt_tokens(self) -> Rate:
        """Tokens of a prompt that cannot be rendered yet."""
        if self.sampled.rendered >= self._few:
            return Rate(
                self.sampled.rendered_tokens / self.sampled.rendered * self.counter.factor, self.counter.how, ""
            )
        if self._means and self._means.prompt_tokens:
            return Rate(self._means.prompt_tokens.value, FROM_SERVER, "")
        fixed = estimate_prompt_tokens(self.prompt.messages(**dict.fromkeys(self.prompt.fields, "")))
        return Rate(fixed + sum(self._field_tokens(name) for name in self.prompt.fields), FROM_BYTES, "")

    def reply_tokens(self, reasoning: float) -> Rate:
        """Tokens of a reply: as measured, or as in the prompt's worked examples with so much reasoning before."""
        if len(self.sampled.replies) >= self._few:
            mean = sum(self.sampled.replies) / len(self.sampled.replies)
            return Rate(mean, MEASURED, f"{len(self.sampled.replies):,} calls of the sample")
        if self._means:
            found = self._means.reply_tokens
            return Rate(found.value, MEASURED, f"{found.count:,} calls in the workspace {found.where}")
        replies = [example.reply for example in self.prompt.examples] or list(self.prompt.choices)
        told = f"the prompt's worked examples and {reasoning:g} tokens of reasoning"
        return Rate(_mean([estimate_reply_tokens(text) for text in replies]) + reasoning, ASSUMED, told)

    def _declared(self) -> float:
        """Calls for each row, as the node says it of rows that it cannot see."""
        shard = Shard("stand-in", "", _STAND_IN, lambda: iter(()))
        inputs = {
            name: Shards([shard]) if self._overlay.is_table(name) else self._overlay.constant(name)
            for name in self.node.inputs
        }
        plan = self.node.run(inputs)[self.table]
        return float(plan.expected[shard.id] / _STAND_IN)

    def _field_tokens(self, name: str) -> float:
        """Of what fills a field: by a table of the sample that has such a column, or else by the worked examples."""
        texts = self._overlay.texts(name, _FIELD_ROWS)
        if len(texts) < self._few:
            texts = [example.fields[name] for example in self.prompt.examples]
        return _mean([estimate_reply_tokens(text) for text in texts])


def _whose(identity: Row) -> tuple[Any, ...]:
    return identity["row_id"], identity["part"], identity["sample_index"], identity.get("turn") or 0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
