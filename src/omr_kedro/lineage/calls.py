"""The model calls about some rows, each with the messages that were sent as far as they can be known."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from omr_kedro.lineage.project_tables import ProjectTables
from omr_kedro.llm.calls import CallPlan, Completion, Message, Model, Prompt
from omr_kedro.llm.engine import ReadOnlyJournal, replayed
from omr_kedro.llm.engine.journal import paid_calls
from omr_kedro.llm.engine.steps import Step
from omr_kedro.runners.work import GroupWork
from omr_kedro.shards import Row

CHANGED_PROMPT = "the prompt was changed since (it is now {hash}), so its text is not known any more"
CHANGED_SETTING = (
    "the prompt is the same, but sampling, model or input were changed since: not what was sent, to the letter"
)
NOT_ASKED_NOW = "today's tables ask no such question, so its text is not known any more"
IN_JOURNAL = "in the journal: its shard is not finished"


@dataclass(frozen=True)
class Call:
    """One call, or another step of an episode. Counts and texts are as recorded; `messages` are rendered anew."""

    table: str
    row_id: str
    part: str
    sample_index: int
    turn: int
    kind: str
    """`model`, `code` or `end` (`tables.COMPLETIONS`)."""
    seed: int | None
    prompt: str
    prompt_hash: str
    call_key: str
    model: str
    finish_reason: str | None
    prompt_tokens: int
    completion_tokens: int
    latency_s: float
    tries: int
    error_kind: str | None
    error: str | None
    reasoning: str | None
    reply: str
    messages: list[Message] | None
    """None where they cannot be known, and for steps that are no call."""
    code: str
    """Code that was run; empty for a call, and where it cannot be known."""
    note: str
    """Caveat about the messages; empty when the call's key proves that these were sent."""


def calls_in(tables: ProjectTables, name: str, shard: str, ids: Collection[str]) -> list[Call]:
    """The calls of a table of completions about the rows with these ids, finished or in the journal."""
    steps, prompt, model, trouble = _steps(tables, name, shard, ids)
    by_identity = {_identity(step.identity._asdict()): step for step in steps}
    calls = []
    for row in tables.rows(name, shard):
        if row["row_id"] in ids:
            step = by_identity.pop(_identity(row), None)
            calls.append(_call(name, row, prompt, *_told(row, step, prompt, model, trouble)))
    calls += _journalled(tables, name, shard, list(by_identity.values()), prompt, model)
    return calls


def _steps(
    tables: ProjectTables, name: str, shard: str, ids: Collection[str]
) -> tuple[list[Step], Prompt | None, Model | None, str]:
    """The steps that would be taken about these rows today, prompt, model, and why these cannot be known."""
    node = tables.makers[name]
    prompt, model = None, None
    try:
        work = GroupWork([node], tables.catalog)
        prompt = next((value for value in work.constants.values() if isinstance(value, Prompt)), None)
        plan = work.recipes(node, [shard])[name]
        assert isinstance(plan, CallPlan), "a table of completions is made by asking"  # noqa: S101
        model = plan.model
        asks = plan.asks
        about = replace(plan, asks=lambda shard_id: (ask for ask in asks(shard_id) if ask.row_id in ids))
        with closing(ReadOnlyJournal(tables.stores[name].scratch(shard))) as paid:
            return [step for found in replayed(about, shard, paid) for step in found.steps], prompt, model, ""
    except Exception as error:  # whatever keeps a question from being asked today, what was recorded can be shown
        return [], prompt, model, f"{type(error).__name__}: {error}"


def _told(
    row: Row, step: Step | None, prompt: Prompt | None, model: Model | None, trouble: str
) -> tuple[Step | None, str]:
    """The step to show as what was asked, None where nothing was or nobody knows; and the caveat about it."""
    if row.get("kind") == "end":
        return None, ""
    if step and row["call_key"] in _keys(step, row.get("asked_model") or row["model"], model):
        return step, ""
    if prompt and prompt.hash != row["prompt_hash"]:
        return None, CHANGED_PROMPT.format(hash=prompt.hash)
    if step:
        return step, CHANGED_SETTING
    return None, f"cannot be rendered: {trouble}" if trouble else NOT_ASKED_NOW


def _journalled(
    tables: ProjectTables, name: str, shard: str, steps: list[Step], prompt: Prompt | None, model: Model | None
) -> Iterator[Call]:
    if not steps:
        return
    keys: dict[str, dict[str, Step]] = {}
    found: dict[str, tuple[Step, Completion]] = {}
    for completion in paid_calls(tables.stores[name].scratch(shard)):
        by_key = keys.get(completion.asked) or keys.setdefault(
            completion.asked, {key: step for step in steps for key in _keys(step, completion.asked, model)}
        )
        if step := by_key.get(completion.call_key):
            found[completion.call_key] = step, completion
    for step, completion in found.values():
        yield _call(name, completion.row(step.identity), prompt, step, IN_JOURNAL)


def _keys(step: Step, name: str, model: Model | None) -> set[str]:
    """Keys that a step may have: of a call to a model of this name without fields of its own, and with today's."""
    if step.request is None:
        return {step.key}
    return {step.request.key(name), step.request.key(model.identity if model and model.name == name else name)}


def _identity(row: Row) -> tuple[Any, ...]:
    return row["row_id"], row["part"], row["sample_index"], row.get("turn") or 0, row.get("kind") or "model"


def _call(table: str, row: Row, prompt: Prompt | None, step: Step | None, note: str) -> Call:
    return Call(
        table=table,
        row_id=row["row_id"],
        part=row["part"],
        sample_index=row["sample_index"],
        turn=row.get("turn") or 0,
        kind=row.get("kind") or "model",
        seed=row["seed"],
        prompt=prompt.name if prompt else "",
        prompt_hash=row["prompt_hash"],
        call_key=row["call_key"],
        model=row["model"],
        finish_reason=row["finish_reason"],
        prompt_tokens=row["prompt_tokens"] or 0,
        completion_tokens=row["completion_tokens"] or 0,
        latency_s=row["latency_s"] or 0.0,
        tries=row["tries"] or 0,
        error_kind=row["error_kind"],
        error=row["error"],
        reasoning=row["reasoning"],
        reply=row["text"],
        messages=step.request.messages if step and step.request else None,
        code=step.code if step else "",
        note=note,
    )
