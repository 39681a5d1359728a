"""The calls of one stage in the sample: which are paid for, which are to be made, and how long they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import Any, NamedTuple

from kedro.pipeline import Node

from omr_kedro.estimate.counting import FROM_BYTES, FROM_SERVER, PromptCounter
from omr_kedro.estimate.draws import Draws, Ended
from omr_kedro.estimate.figures import ASSUMED, MEASURED, SAMPLED
from omr_kedro.estimate.measured import CallMeans, call_means, row_rate
from omr_kedro.estimate.options import EstimateOptions
from omr_kedro.estimate.overlay import Overlay
from omr_kedro.estimate.rates import Rate, tables_read
from omr_kedro.lineage.project_tables import key_of
from omr_kedro.llm.calls import CallPlan, Completion, Prompt
from omr_kedro.llm.calls.token_estimate import estimate_prompt_tokens, estimate_reply_tokens
from omr_kedro.llm.engine import ChatModel, ReadOnlyJournal, replayed
from omr_kedro.llm.engine.replay import Replayed
from omr_kedro.pipelines.controls import ORDERS, JudgeOptions
from omr_kedro.shards import Row, Shard, Shards
from omr_kedro.shards.spools import RowIndex
from omr_kedro.solutions import StopRule

_STAND_IN = 1000
_FIELD_ROWS = 500


@dataclass
class ShardCalls:
    """The calls of one shard."""

    rows: int = 0
    """Rows that are asked about."""
    paid: int = 0
    paid_tokens: int = 0
    to_make: dict[bool, float] = field(default_factory=lambda: defaultdict(float))
    """Calls to be made, by whether the answer of the row is known. Of episodes also those that will follow, by what is
    expected."""
    prompt_tokens: float = 0
    """Of the calls to be made, before the counter's factor."""
    about_controls: int = 0
    """Those, paid for or not, that are about controls of a judge and not about rows."""

    @property
    def calls(self) -> float:
        """Calls to be made."""
        return sum(self.to_make.values())


@dataclass(frozen=True)
class Open:
    """An episode that has not ended."""

    known: bool
    """Whether its row has an answer that is known."""
    shard: ShardCalls
    calls: int
    """Those that are paid for, and those that are asked next."""
    before: int
    """Calls that it had when it was asked in another way; 0 where it was not."""
    prompt_tokens: float
    """Of each."""


@dataclass
class Sampled:
    """Findings from rendering all requests of a stage in the sample."""

    shards: dict[str, ShardCalls] = field(default_factory=dict)
    rendered: int = 0
    rendered_tokens: float = 0
    stood_in: int = 0
    """Calls to be made for which the reply to an earlier prompt goes on, in place of the one to come."""
    replies: dict[bool, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Tokens of those that are paid for, by whether the answer of the row is known."""
    open: list[Open] = field(default_factory=list)
    foreseen_by: set[str] = field(default_factory=set)
    """Kinds of figures that the calls of open episodes rest on, beside those that are known."""

    @property
    def all_replies(self) -> list[int]:
        """Tokens of all that are paid for."""
        return [tokens for some in self.replies.values() for tokens in some]


class StageCalls:
    """An asking node on the sample."""

    stop_rule: StopRule | None
    """The rule that ends the episodes of the stage; None where none does."""

    def __init__(self, node: Node, overlay: Overlay, counter: PromptCounter, options: EstimateOptions) -> None:
        self.node = node
        self.table = next(iter(node.outputs))
        self.given = tables_read(overlay, node)[0]
        self._key = key_of(overlay.store(self.given).schema)
        constants = [overlay.constant(name) for name in node.inputs if not overlay.is_table(name)]
        self.model = next(value for value in constants if isinstance(value, ChatModel))
        self.prompt = next(value for value in constants if isinstance(value, Prompt))
        self.stop_rule = next((value.stop_rule for value in constants if hasattr(value, "stop_rule")), None)
        self.controls = next((value.controls for value in constants if isinstance(value, JudgeOptions)), None)
        self.counter = counter
        self.sampled = Sampled()
        self.draws = Draws(0, 0, options.few)
        self._overlay = overlay
        self._few = options.few
        self._field_tokens_assumed = options.field_tokens
        self._means: CallMeans | None = None

    def look(self) -> None:
        """Render every request, look for it among what is paid for, and withhold the rows that wait.

        A row that was asked about in another way goes on with the reply that it got: what later stages will be asked
        is mostly what they were asked, and paid for.
        """
        plan = self._overlay.run(self.node)[self.table]
        assert isinstance(plan, CallPlan), "a node with a model asks"  # noqa: S101
        self.name = plan.name
        self.draws = Draws(declared := self._declared(), self._samples_declared(declared), self._few)
        visible = self._overlay.shards(self.given)
        self.sampled.shards = {shard: ShardCalls(rows=visible[shard].count) for shard in self._overlay.ids}
        self._overlay.save_paid(self.table, partial(self._look_at, plan))
        for episode in self.sampled.open:
            self._foresee(episode)
        store = self._overlay.store(self.table)
        self._means = call_means(store, self.model.name, self.prompt.hash, self._few)

    def _foresee(self, episode: Open) -> None:
        """Count the calls that are expected to follow in an episode."""
        coming = self.draws.calls(episode.known, max(episode.calls, episode.before)) - episode.calls
        episode.shard.to_make[episode.known] += coming
        episode.shard.prompt_tokens += coming * episode.prompt_tokens
        if coming:
            kind = MEASURED if episode.before else self.draws.told(all_ended=False).kind
            self.sampled.foreseen_by.add(kind)

    def _look_at(self, plan: CallPlan, shard: str) -> Iterator[Row]:
        """The completions of one shard as later nodes are to see them; memory holds those of one row."""
        store = self._overlay.store(self.table)
        rows_now = store.part([shard]).rows() if shard in store.written() else ()
        about = {row[self._key]: _about(row, self._key) for row in self._overlay.shards(self.given)[shard].rows()}
        waiting = set[str]()
        seen = set[str]()
        with (
            closing(ReadOnlyJournal(store.scratch(shard), self._overlay.folder)) as known,
            closing(self._overlay.index((row["row_id"], row) for row in rows_now)) as earlier,
        ):
            for played in replayed(plan, shard, known):
                paid = {step.key: known.completion(step.key) for step in played.steps if step.key in known}
                before = _asked_before(played, paid, earlier)
                row = about.get(played.row_id, _CONTROL)
                self._count(shard, played, paid, row, seen, len(before))
                if played.episode and before:
                    self.sampled.stood_in += len(before)
                    yield from before.values()
                    continue
                for step in played.steps:
                    if completion := paid.get(step.key):
                        yield completion.row(step.identity)
                    elif stand_in := before.get(_whose(step.identity._asdict())):
                        yield {**stand_in, **step.identity._asdict()}
                        self.sampled.stood_in += 1
                    elif row is not _CONTROL:
                        waiting.add(row.held_back)
        self._overlay.withhold(shard, waiting)

    def _count(
        self, shard: str, played: Replayed, paid: Mapping[str, Completion], row: _About, seen: set[str], before: int
    ) -> None:
        """Count the calls of a request or an episode; equal calls of a shard are paid for once."""
        found, known = self.sampled.shards[shard], row.known
        asked = {step.key: step.request for step in played.steps if step.request and step.request.asks_model}
        fresh = {key: request for key, request in asked.items() if key not in seen}
        seen.update(fresh)
        tokens = 0.0
        for key, request in fresh.items():
            completion = paid.get(key)
            prompt = self.counter.count(request.messages, completion.prompt_tokens if completion else 0)
            tokens += prompt
            if completion is None:
                found.to_make[known] += 1
                found.prompt_tokens += prompt
                continue
            found.paid += 1
            found.paid_tokens += completion.prompt_tokens + completion.completion_tokens
            self.sampled.replies[known] += [completion.completion_tokens] if completion.completion_tokens else []
        found.about_controls += len(fresh) if row is _CONTROL else 0
        self.sampled.rendered += len(fresh)
        self.sampled.rendered_tokens += tokens
        if played.episode and played.missing and fresh:
            self.sampled.open.append(Open(known, found, len(asked), before, tokens / len(fresh)))
        elif played.episode and not played.missing and not played.end and asked:
            tokens_of_all = sum(paid[key].completion_tokens for key in asked)
            samples = {request.sample_index for request in asked.values()}
            self.draws.ended.append(Ended(known, len(asked), tokens_of_all, len(samples)))

    def calls_per_row(self) -> Rate:
        """Calls for a row that does not exist yet."""
        shards = self.sampled.shards.values()
        rows = sum(shard.rows for shard in shards)
        if rows >= self._few:
            calls = sum(shard.paid + shard.calls - shard.about_controls for shard in shards)
            return Rate(calls / rows, SAMPLED, "")
        own, given = self._overlay.store(self.table), self._overlay.store(self.given)
        if found := row_rate(own, [given], [(own, self.model.name)], self._few):
            return Rate(found.value, MEASURED, found.where)
        return Rate(self._declared(), ASSUMED, "as the stage declares")

    def samples_per_row(self) -> float:
        """Samples of a row that does not exist yet; calls where the stage draws none."""
        return self.calls_per_row().value / self.draws.calls_of_sample if self.stop_rule else self.calls_per_row().value

    def calls_about_controls(self, rows: float) -> float:
        """Calls about the controls of a judge that is asked about so many rows; a stage without a judge has none."""
        return ORDERS * self.controls.number(ceil(rows)) if self.controls else 0

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

    def reply_tokens(self, reasoning: float, known: bool | None = None) -> Rate:
        """Tokens of a reply: as measured, or as in the prompt's worked examples with so much reasoning before.

        Args:
            reasoning: tokens that the model thinks where nothing was measured.
            known: about a row whose answer is known, or is not; None for all.
        """
        replies = self.sampled.replies.get(known, []) if known is not None else []
        replies = replies if len(replies) >= self._few else self.sampled.all_replies
        if len(replies) >= self._few:
            return Rate(_mean(replies), MEASURED, f"{len(replies):,} calls of the sample")
        if self._means:
            found = self._means.reply_tokens
            return Rate(found.value, MEASURED, f"{found.count:,} calls in the workspace {found.where}")
        texts = [example.reply for example in self.prompt.examples] or list(self.prompt.choices)
        told = f"the prompt's worked examples and {reasoning:g} tokens of reasoning"
        return Rate(_mean([estimate_reply_tokens(text) for text in texts]) + reasoning, ASSUMED, told)

    def _declared(self) -> float:
        """Calls for each row, as the node says it of rows that it cannot see."""

        def given(name: str) -> Any:
            if not self._overlay.is_table(name):
                return self._overlay.constant(name)
            return Shards([Shard("stand-in", "", _STAND_IN if name == self.given else 0, lambda: iter(()))])

        plan = self.node.run({name: given(name) for name in self.node.inputs})[self.table]
        return float(plan.expected["stand-in"] / _STAND_IN)

    def _samples_declared(self, calls: float) -> float:
        """Samples of each row by its stop rule; as many as calls where there is none."""
        return self.stop_rule.usual_draws if self.stop_rule else calls

    def _field_tokens(self, name: str) -> float:
        """Of what fills a field: by a table of the sample that has such a column, or else by the worked examples."""
        texts = self._overlay.texts(name, _FIELD_ROWS)
        if len(texts) < self._few:
            if name in self._field_tokens_assumed:
                return self._field_tokens_assumed[name]
            texts = [example.fields[name] for example in self.prompt.examples]
        return _mean([estimate_reply_tokens(text) for text in texts])


class _About(NamedTuple):
    known: bool
    """Whether the row has an answer that is known."""
    held_back: str
    """Id of the row that waits as long as its calls do."""


_CONTROL = _About(known=False, held_back="")
"""Of a row that is none of the stage's own, but a control."""


def _about(row: Row, key: str) -> _About:
    # What an answer is worth decides about all samples of its problem.
    return _About(row.get("expected_answer") is not None, row["problem_id" if key == "answer_id" else key])


def _asked_before(played: Replayed, paid: Mapping[str, Completion], earlier: RowIndex) -> dict[tuple[Any, ...], Row]:
    """The replies that go on in place of those to come: of an episode all that it had when it was asked otherwise.

    Of one that goes on with what is paid for, none do: it is not known what it will ask.
    """
    if not played.missing or (played.episode and paid):
        return {}
    rows = earlier[played.row_id]
    if played.episode and any(row.get("kind") == "end" for row in rows):
        return {}
    return {_whose(row): row for row in rows if played.episode or not row["error_kind"]}


def _whose(identity: Row) -> tuple[Any, ...]:
    return identity["row_id"], identity["part"], identity["sample_index"], identity.get("turn") or 0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
