"""A lineage on a terminal or in a pipe. What strangers and models wrote is shown as text, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from omr_kedro.lineage.calls import Call
from omr_kedro.lineage.parts import SampleWay
from omr_kedro.lineage.trace import Decision, Evidence, Lineage, Step
from omr_kedro.shards import Row, printable

_COLOURS = {"kept": "green", "dropped": "yellow", "failed": "red", "missing": "red", "open": "cyan"}
_WORDS = {
    "open": "not decided yet",
    "missing": "in no table of this stage: its tables are of different runs; run the pipeline again",
}
_CELL_CHARS = 160
_TEXT_CHARS = 2000
"""Of a call's texts, unless all is asked for: thirty-two samples of a problem are a book."""
_END_CHARS = 500
"""Of them, those of the end, where a solution has its answer."""
_IDS = 4
_KNOWN_BY_NOW = ("row_id", "problem_id", "thread_id", "problem")


def show(lineage: Lineage, console: Console, *, full: bool = False) -> None:
    """Print a lineage.

    Args:
        lineage: what to show.
        console: where to.
        full: all messages and all texts of each call; else the last message, which holds the row's own text, and of
            long texts the beginning and the end.
    """
    where = f", in {_listed(lineage.shards)}" if lineage.shards else ""
    console.print(_line(f"{lineage.kind} {lineage.id}", "bold").append(where, "dim"))
    for row in lineage.problems:
        console.print(_indented(_problem(row), 2))
    if lineage.thread:
        console.print(_indented(_thread(lineage.thread), 2))
    if lineage.samples:
        console.print(Group(Text(), _samples(lineage.samples)))
    for number, step in enumerate(lineage.steps, start=1):
        console.print(Group(Text(), _line(f"{number}. {step.stage}", "bold"), *_step(step, full)))


def _samples(samples: list[SampleWay]) -> Table:
    table = Table("sample", "solution", "answer", "class", "verdict", "became", title="Samples", box=None)
    for way in samples:
        answer = f"no vote: {way.no_vote}" if way.answer is None else way.answer
        verdict = f"{way.verdict}, by {way.decided_by}" if way.decided_by else way.verdict
        became = f"{way.outcome}: {way.reason}" if way.reason else way.outcome
        became += ", summed up" if way.summary else ""
        number = "" if way.answer_class is None else str(way.answer_class)
        cells = (f"{way.mode} {way.sample_index}", way.solution_id, _cell(answer), number, verdict or "", became)
        table.add_row(*map(_line, cells), style=_COLOURS[way.outcome])
    return table


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
    for before, call in zip([None, *step.calls], step.calls, strict=False):
        yield _indented(Group(*_call(call, before, full)), 2)
    for evidence in step.evidence:
        yield _indented(Group(*_evidence(evidence)), 2)
    for decision in step.decisions:
        yield _indented(_decision(decision), 2)


def _call(call: Call, before: Call | None, full: bool) -> Iterator[RenderableType]:
    sample = f", sample {call.sample_index}" if call.sample_index else ""
    turn = f", turn {call.turn}" if call.turn else ""
    part = f" ({call.part})" if call.part else ""
    about = {"model": "call about", "code": "code run for", "end": "end of what was asked about"}[call.kind]
    yield _line(f"{about} {call.row_id}{part}{sample}{turn}", "bold")
    prompt = f"prompt {call.prompt} {call.prompt_hash}" if call.prompt else f"prompt {call.prompt_hash}"
    seed = "no seed" if call.seed is None else f"seed {call.seed}"
    tries = f", {call.tries} tries" if call.tries > 1 else ""
    ended = f"{call.error_kind}: {call.error}" if call.error_kind else f"finish reason {call.finish_reason}"
    tokens = f"{call.prompt_tokens:,} + {call.completion_tokens:,} tokens in {call.latency_s:g} s"
    told = f"{call.model}; {prompt}; {seed}; {ended}; {tokens}{tries}; key {call.call_key}"
    yield _indented(_line(told if call.kind == "model" else f"{ended}; key {call.call_key}"), 2)
    if call.note:
        yield _indented(_line(call.note, "cyan"), 2)
    yield from (_indented(item, 2) for item in _asked(call, before, full))
    if call.reasoning:
        yield _indented(_text("reasoning", call.reasoning, full), 2)
    if not call.error_kind:
        yield _indented(_text("output" if call.kind == "code" else "reply", call.reply, full), 2)


def _asked(call: Call, before: Call | None, full: bool) -> Iterator[RenderableType]:
    messages = call.messages or []
    if messages and before and messages == before.messages and not full:
        yield _line("asked as before: --full", "dim")
        return
    shown = messages if full else messages[-1:]
    if len(messages) > len(shown):
        yield _line(f"{len(messages) - len(shown)} messages of fixed text before it: --full", "dim")
    for message in shown:
        yield _text(message["role"], message["content"], full)
    if call.code:
        yield _text("code", call.code, full)


def _text(label: str, text: str | None, full: bool) -> Group:
    """A text of a call, of a long one the beginning and the end."""
    left_out = len(text or "") - _TEXT_CHARS
    if full or not text or left_out <= 0:
        return _block(label, text)
    beginning, end = text[: _TEXT_CHARS - _END_CHARS], text[-_END_CHARS:]
    return _block(label, f"{beginning}\n… {left_out:,} characters: --full …\n{end}")


def _evidence(evidence: Evidence) -> Iterator[RenderableType]:
    yield _line(evidence.table, "bold")
    for row in evidence.rows:
        told = {
            name: value
            for name, value in row.items()
            if value is not None and name not in (*_KNOWN_BY_NOW, evidence.key)
        }
        classes = told.pop("classes", [])
        cells = "; ".join(f"{name}: {_cell(value)}" for name, value in told.items())
        yield _indented(_line(f"{row[evidence.key]} {cells}"), 2)
        for number, each in enumerate(classes):
            samples = ", ".join(map(str, each["samples"]))
            yield _indented(_line(f"class {number}, {each['votes']} votes: {_cell(each['answer'])} ({samples})"), 4)


def _cell(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _CELL_CHARS else text[:_CELL_CHARS] + "…"


def _decision(decision: Decision) -> Text:
    words = _WORDS.get(decision.outcome, decision.outcome)
    told = f"{words} in {', '.join(decision.tables)}" if decision.tables else words
    told += f", as {_listed(decision.became)}" if decision.became else ""
    told += f": {decision.reason}" if decision.reason else ""
    text = _line(f"{decision.row_id} {told}", _COLOURS[decision.outcome])
    return text.append(f" ({printable(decision.detail)})", "dim") if decision.detail else text


def _listed(names: list[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - _IDS} more" if len(names) > _IDS else ""
    return ", ".join(names[:_IDS]) + more
