"""A lineage on a terminal or in a pipe. What strangers and models wrote is shown as text, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from omr_kedro.lineage.calls import Call
from omr_kedro.lineage.trace import Decision, Evidence, Lineage, Step
from omr_kedro.shards import Row, printable

_COLOURS = {"kept": "green", "dropped": "yellow", "failed": "red", "missing": "red", "open": "cyan"}
_WORDS = {
    "open": "not decided yet",
    "missing": "in no table of this stage: its tables are of different runs; run the pipeline again",
}
_CELL_CHARS = 160
_KNOWN_BY_NOW = ("row_id", "problem_id", "thread_id", "problem")


def show(lineage: Lineage, console: Console, *, full: bool = False) -> None:
    """Print a lineage.

    Args:
        lineage: what to show.
        console: where to.
        full: all messages of each call; else the last one, which holds the row's own text.
    """
    console.print(_line(f"{lineage.kind} {lineage.id}", "bold").append(f", in {lineage.shard} of each table", "dim"))
    for row in lineage.problems:
        console.print(_indented(_problem(row), 2))
    if lineage.thread:
        console.print(_indented(_thread(lineage.thread), 2))
    for number, step in enumerate(lineage.steps, start=1):
        console.print(Group(Text(), _line(f"{number}. {step.stage}", "bold"), *_step(step, full)))


def _line(text: str, style: str = "") -> Text:
    return Text(printable(text), style, overflow="fold")


def _indented(content: RenderableType, by: int) -> Padding:
    return Padding(content, (0, 0, 0, by), expand=False)


def _block(label: str, text: str | None) -> Group:
    return Group(_line(f"{label}:", "dim"), _indented(_line((text or "").strip() or "(empty)"), 2))


def _problem(row: Row) -> Group:
    kind = f", {row['problem_type']}" if row.get("problem_type") else ""
    parts: list[RenderableType] = [_block(f"problem {row['problem_id']}{kind}", row["problem"])]
    if row.get("expected_answer") is not None:
        parts.append(_line(f"expected answer: {row['expected_answer']}"))
    return Group(*parts)


def _thread(row: Row) -> Group:
    origin = f", {row['problem_source']}" if row["problem_source"] else ""
    posts = f"; {len(row['forum_discussions']):,} characters of later posts" if row["forum_discussions"] else ""
    parts = [
        _block(f"thread {row['thread_id']}, from {row['source']}{origin}{posts}; its first post", row["forum_post"])
    ]
    return Group(*parts, *([_line(f"other fields: {row['extra']}", "dim")] if row.get("extra") else []))


def _step(step: Step, full: bool) -> Iterator[RenderableType]:
    if step.unfinished:
        yield _indented(_line(f"not finished: {', '.join(step.unfinished)}; shown as last written", "cyan"), 2)
    for call in step.calls:
        yield _indented(Group(*_call(call, full)), 2)
    for evidence in step.evidence:
        yield _indented(Group(*_evidence(evidence)), 2)
    for decision in step.decisions:
        yield _indented(_decision(decision), 2)


def _call(call: Call, full: bool) -> Iterator[RenderableType]:
    sample = f", sample {call.sample_index}" if call.sample_index else ""
    part = f" ({call.part})" if call.part else ""
    yield _line(f"call about {call.row_id}{part}{sample}", "bold")
    prompt = f"prompt {call.prompt} {call.prompt_hash}" if call.prompt else f"prompt {call.prompt_hash}"
    seed = "no seed" if call.seed is None else f"seed {call.seed}"
    tries = f", {call.tries} tries" if call.tries > 1 else ""
    ended = f"{call.error_kind}: {call.error}" if call.error_kind else f"finish reason {call.finish_reason}"
    tokens = f"{call.prompt_tokens:,} + {call.completion_tokens:,} tokens in {call.latency_s:g} s"
    told = f"{call.model}; {prompt}; {seed}; {ended}; {tokens}{tries}; key {call.call_key}"
    yield _indented(_line(told), 2)
    if call.note:
        yield _indented(_line(call.note, "cyan"), 2)
    messages = call.messages or []
    shown = messages if full else messages[-1:]
    if len(messages) > len(shown):
        yield _indented(_line(f"{len(messages) - len(shown)} messages of fixed text before it: --full", "dim"), 2)
    for message in shown:
        yield _indented(_block(message["role"], message["content"]), 2)
    if call.reasoning:
        yield _indented(_block("reasoning", call.reasoning), 2)
    if not call.error_kind:
        yield _indented(_block("reply", call.reply), 2)


def _evidence(evidence: Evidence) -> Iterator[RenderableType]:
    yield _line(evidence.table, "bold")
    for row in evidence.rows:
        told = {name: value for name, value in row.items() if value is not None and name not in _KNOWN_BY_NOW}
        cells = "; ".join(f"{name}: {_cell(value)}" for name, value in told.items())
        yield _indented(_line(f"{row[evidence.key]} {cells}"), 2)


def _cell(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _CELL_CHARS else text[:_CELL_CHARS] + "…"


def _decision(decision: Decision) -> Text:
    words = _WORDS.get(decision.outcome, decision.outcome)
    told = f"{words} in {', '.join(decision.tables)}" if decision.tables else words
    told += f", as {', '.join(decision.became)}" if decision.became else ""
    told += f": {decision.reason}" if decision.reason else ""
    text = _line(f"{decision.row_id} {told}", _COLOURS[decision.outcome])
    return text.append(f" ({printable(decision.detail)})", "dim") if decision.detail else text
