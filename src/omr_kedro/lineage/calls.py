"""The model calls about some rows, each with the messages that were sent as far as they can be known."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from omr_kedro.lineage.project_tables import ProjectTables
from omr_kedro.llm.calls import CallPlan, Completion, Message, Model, Prompt, Request
from omr_kedro.llm.engine import ReadOnlyJournal, replayed
from omr_kedro.llm.engine.journal import paid_calls
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
    """One call. Counts and texts are as recorded; `messages` are rendered anew."""

    table: str
    row_id: str
    part: str
    sample_index: int
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
    """None where they cannot be known."""
    note: str
    """Caveat about the messages; empty when the call's key proves that these were sent."""


def calls_in(tables: ProjectTables, name: str, shard: str, ids: Collection[str]) -> list[Call]:
    """The calls of a table of completions about the rows with these ids, finished or in the journal."""
    requests, prompt, model, trouble = _requests(tables, name, shard, ids)
    by_identity = {_identity(request.identity()._asdict()): request for request in requests}
    calls = []
    for row in tables.rows(name, shard):
        if row["row_id"] in ids:
            request = by_identity.pop(_identity(row), None)
            messages, note = _messages(row, request, prompt, model, trouble)
            calls.append(_call(name, row, prompt, messages, note))
    calls += _journalled(tables, name, shard, list(by_identity.values()), prompt, model)
    return calls


def _requests(
    tables: ProjectTables, name: str, shard: str, ids: Collection[str]
) -> tuple[list[Request], Prompt | None, Model | None, str]:
    """The requests that would be made about these rows today, prompt, model, and why these cannot be known."""
    node = tables.makers[name]
    prompt, model = None, None
    try:
        work = GroupWork([node], tables.catalog)
        prompt = next((value for value in work.constants.values() if isinstance(value, Prompt)), None)
        plan = work.recipes(node, [shard])[name]
        assert isinstance(plan, CallPlan), "a table of completions is made by asking"  # noqa: S101
        model = plan.model
        with closing(ReadOnlyJournal(tables.stores[name].scratch(shard))) as paid:
            played = (found for found in replayed(plan, shard, paid) if found.row_id in ids)
            return [step.request for found in played for step in found.steps if step.request], prompt, model, ""
    except Exception as error:  # whatever keeps a question from being asked today, what was recorded can be shown
        return [], prompt, model, f"{type(error).__name__}: {error}"


def _messages(
    row: Row, request: Request | None, prompt: Prompt | None, model: Model | None, trouble: str
) -> tuple[list[Message] | None, str]:
    if request and row["call_key"] in _keys(request, row.get("asked_model") or row["model"], model):
        return request.messages, ""
    if prompt and prompt.hash != row["prompt_hash"]:
        return None, CHANGED_PROMPT.format(hash=prompt.hash)
    if request:
        return request.messages, CHANGED_SETTING
    return None, f"cannot be rendered: {trouble}" if trouble else NOT_ASKED_NOW


def _journalled(
    tables: ProjectTables, name: str, shard: str, requests: list[Request], prompt: Prompt | None, model: Model | None
) -> Iterator[Call]:
    if not requests:
        return
    keys: dict[str, dict[str, Request]] = {}
    found: dict[str, tuple[Request, Completion]] = {}
    for completion in paid_calls(tables.stores[name].scratch(shard)):
        by_key = keys.get(completion.asked) or keys.setdefault(
            completion.asked, {key: request for request in requests for key in _keys(request, completion.asked, model)}
        )
        if request := by_key.get(completion.call_key):
            found[completion.call_key] = request, completion
    for request, completion in found.values():
        yield _call(name, completion.row(request.identity()), prompt, request.messages, IN_JOURNAL)


def _keys(request: Request, name: str, model: Model | None) -> set[str]:
    """Keys that a call to a model of this name may have: without fields of its own, and with those of today's entry."""
    return {request.key(name), request.key(model.identity if model and model.name == name else name)}


def _identity(row: Row) -> tuple[Any, ...]:
    return row["row_id"], row["part"], row["sample_index"], row.get("turn") or 0, row.get("kind") or "model"


def _call(table: str, row: Row, prompt: Prompt | None, messages: list[Message] | None, note: str) -> Call:
    return Call(
        table=table,
        row_id=row["row_id"],
        part=row["part"],
        sample_index=row["sample_index"],
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
        messages=messages,
        note=note,
    )
