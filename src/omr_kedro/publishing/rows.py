"""Rows of the published configs, made of the tables, batch by batch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from omr_kedro import __version__, tables
from omr_kedro.answers.forms import answer_form
from omr_kedro.publishing.columns import (
    Columns,
    UnmatchedRowsError,
    alongside,
    batch_of,
    by_value,
    chats,
    constant,
    think,
)
from omr_kedro.publishing.ids import IdPlaces
from omr_kedro.publishing.licences import Licences
from omr_kedro.publishing.publication import bare
from omr_kedro.shards.arrow import arrow_batches
from omr_kedro.shards.recipes import Row, Shards
from omr_kedro.tables.publishing import MESSAGE

SOLUTIONS, REJECTED = bare(tables.PUBLISHED_SOLUTIONS), bare(tables.PUBLISHED_REJECTED)
PROBLEMS, SELECTIONS = bare(tables.PUBLISHED_PROBLEMS), bare(tables.PUBLISHED_SELECTIONS)
Batches = Iterator[pa.RecordBatch]

_RENAMED = {"executions": "tool_calls", "execution_errors": "tool_errors", "execution_timeouts": "tool_timeouts"}
_SUMMARIES = pa.schema([("solution_id", pa.string()), ("summary", pa.string())])


def cot_rows(solutions: Shards, summaries: Shards, licences: Licences) -> Batches:
    """Rows of the config `cot`: a summary takes the place of the final text where there is one."""
    read = _read_columns(tables.SOLUTIONS)
    for name, shard in solutions.items():
        chosen = arrow_batches(summaries[name], _SUMMARIES) if name in summaries else iter(())
        for batch, summary in alongside(arrow_batches(shard, read), chosen, "solution_id", "summary"):
            yield _solutions(batch, licences, SOLUTIONS, pc.coalesce(summary, batch.column("solution")))


class Usefulness(NamedTuple):
    """Tables that say which solutions with code were of use; any of them may lack shards, or have none."""

    useful: Shards
    """Those that were (`tables.TIR_USEFULNESS`)."""
    others: tuple[Shards, ...]
    """The rest, with reasons (`tables.DROPPED`): `dropped` ones were of no use, `failed` ones are not decided."""

    def of_shard(self, name: str) -> dict[str, bool]:
        """The decision on each solution of a shard that has one."""
        decided = dict.fromkeys(_column(self.useful, name, "solution_id"), True)
        for table in self.others:
            outcomes = zip(_column(table, name, "row_id"), _column(table, name, "outcome"), strict=True)
            decided |= {solution: False for solution, outcome in outcomes if outcome == "dropped"}
        return decided


def _column(table: Shards, shard: str, column: str) -> Iterator[str]:
    return table[shard].column(column) if shard in table else iter(())


def tir_rows(solutions: Shards, usefulness: Usefulness, licences: Licences, tools: str) -> Batches:
    """Rows of the config `tir`.

    Args:
        solutions: right solutions with code; `messages` holds their chats as JSON.
        usefulness: of their code.
        licences: of the rows.
        tools: that the model could call, as JSON.

    Raises:
        UnmatchedRowsError: the usefulness is of other solutions.
    """
    read = _read_columns(tables.TIR_SOLUTIONS)
    for name, shard in solutions.items():
        decided = usefulness.of_shard(name)
        for batch in arrow_batches(shard, read):
            useful = pa.array([decided.pop(one, None) for one in batch.column("solution_id").to_pylist()], pa.bool_())
            yield _solutions(batch, licences, SOLUTIONS, batch.column("solution"), tools, useful)
        if decided:
            raise UnmatchedRowsError(f"the usefulness of {next(iter(decided))} is known, which is no solution")


def rejected_rows(modes: Iterable[tuple[Shards, str | None]], licences: Licences) -> Batches:
    """Rows of the config `rejected`: samples of each mode that are no solution, with the tools of the mode."""
    read = _read_columns(tables.TIR_REJECTED_SOLUTIONS)
    for samples, tools in modes:
        for shard in samples.values():
            for batch in arrow_batches(shard, read):
                text = pc.fill_null(batch.column("solution"), "")
                yield _solutions(batch, licences, REJECTED, text, tools)


def _solutions(
    batch: pa.RecordBatch,
    licences: Licences,
    schema: pa.Schema,
    text: pa.Array,
    tools: str | None = None,
    useful: pa.Array | None = None,
) -> pa.RecordBatch:
    rows = len(batch)
    columns: Columns = {_RENAMED.get(name, name): batch.column(name) for name in batch.schema.names}
    columns["generated_solution"] = think(columns["reasoning"], text)
    columns["inference_mode"] = columns["mode"]
    columns["pass_rate_model"] = pc.if_else(
        columns["pass_rate"].is_valid(), columns["generation_model"], pa.nulls(rows, pa.string())
    )
    if tools is None:
        said: list[Columns] = [{"content": columns["problem"]}, {"content": text, "reasoning": columns["reasoning"]}]
        columns["messages"] = chats(["user", "assistant"], said)
    else:
        columns["messages"] = chats_of_json(columns["messages"])
        columns["tools"] = constant(tools, rows)
    if useful is not None:
        columns["useful"] = useful
    return batch_of(columns | _facts(columns, licences, rows), schema, rows)


def _facts(columns: Columns, licences: Licences, rows: int) -> Columns:
    return {
        "answer_type": by_value(columns["expected_answer"], lambda text: str(answer_form(text))),
        "license": licences.of(columns["problem_source"]),
        "pipeline_version": constant(__version__, rows),
    }


def _read_columns(schema: pa.Schema) -> pa.Schema:
    """The columns, each of which may be empty: a table of another mode has not all of them."""
    return pa.schema([pa.field(field.name, field.type) for field in schema])


_FIELDS = [field.name for field in MESSAGE]


def chats_of_json(texts: pa.Array) -> pa.Array:
    """Chats that are written as JSON: lists of messages. A call of tools stays JSON in its message."""
    return pa.array([_messages(text) for text in texts.to_pylist()], pa.list_(MESSAGE))


def _messages(text: str | None) -> list[Row] | None:
    if text is None:
        return None
    return [{name: _plain(message.get(name)) for name in _FIELDS} for message in orjson.loads(text)]


def _plain(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


# ---- problems


def problem_rows(
    problems: Shards, references: Shards, solutions: Iterable[pa.RecordBatch], licences: Licences
) -> Batches:
    """Rows of the config `problems`: every clean problem, with the answer that counts.

    Args:
        problems: the clean problems.
        references: the decided answers of those that were solved (`tables.REFERENCE_ANSWERS`).
        solutions: all published solutions, as far as `SOLVED` goes.
        licences: of the rows.
    """
    solved = _Solved(solutions)
    decided = _decided(references)
    for shard in problems.values():
        for batch in arrow_batches(shard, _read_columns(tables.PROBLEMS)):
            columns: Columns = {name: batch.column(name) for name in batch.schema.names}
            extracted = columns["expected_answer"]
            columns["extracted_answer"] = extracted
            told = decided.of(batch.column("problem_id"))
            is_decided = told["answer_source"].is_valid()
            columns |= told
            # One that was not solved has the answer of its discussion, and nobody has looked at another one.
            unsolved = pc.if_else(extracted.is_valid(), "extracted", "none")
            columns["expected_answer"] = pc.if_else(is_decided, told["expected_answer"], extracted)
            columns["answer_source"] = pc.coalesce(told["answer_source"], unsolved)
            columns |= solved.of(batch.column("problem_id"), told["pass_rate"])
            yield batch_of(columns | _facts(columns, licences, len(batch)), PROBLEMS, len(batch))


SOLVED = ["problem_id", "generation_model"]
"""Columns of published solutions that rows of problems tell of."""


class _Solved:
    """How many solutions problems have, and by which model the first is: ten bytes of memory for each solution."""

    def __init__(self, solutions: Iterable[pa.RecordBatch]) -> None:
        self._models: list[pa.Array] = []
        self._places = IdPlaces(self._noted(solutions))
        encoded = pa.chunked_array(self._models, pa.dictionary(pa.int32(), pa.string())).unify_dictionaries()
        self._model = encoded.combine_chunks()

    def _noted(self, solutions: Iterable[pa.RecordBatch]) -> Iterator[pa.Array]:
        for batch in solutions:
            self._models.append(batch.column("generation_model").dictionary_encode())
            yield batch.column("problem_id")

    def of(self, ids: pa.Array, pass_rates: pa.Array) -> Columns:
        """Counts of solutions, and the model of each pass rate, where a solution tells it."""
        places = self._places.of(ids)
        models = self._model.take(pa.array(places, mask=places < 0)).cast(pa.string())
        known = pc.if_else(pass_rates.is_valid(), models, pa.nulls(len(ids), pa.string()))
        return {"solutions": pa.array(self._places.counts(ids)), "pass_rate_model": known}


class _ByProblem:
    """Columns of rows that stand for a problem each, by its id; all of them are in memory."""

    def __init__(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
        rows = pa.Table.from_batches(batches, schema=schema).combine_chunks()
        self._places = IdPlaces(rows["problem_id"].chunks)
        self._rows = rows.drop_columns("problem_id")

    def of(self, ids: pa.Array) -> Columns:
        """The columns for these problems; empty for one that has no row."""
        return self._taken(self._places.of(ids))

    def each_of(self, ids: pa.Array) -> Columns:
        """The same, where each must have a row.

        Raises:
            UnmatchedRowsError: names the first problem without one.
        """
        places = self._places.of(ids)
        if (places < 0).any():
            unknown = ids[int(np.argmax(places < 0))]
            raise UnmatchedRowsError(f"problem {unknown} has rows, but is none of those that are published")
        return self._taken(places)

    def _taken(self, places: npt.NDArray[np.int64]) -> Columns:
        taken = self._rows.take(pa.array(places, mask=places < 0))
        return {name: taken[name].combine_chunks() for name in taken.schema.names}


_DECIDED = frozenset(
    {
        "problem_id", "expected_answer", "answer_source", "suspect", "votes_for", "votes_total", "samples_drawn",
        "stop_reason", "pass_rate", "pass_rate_first8",
    }
)  # fmt: skip


def _decided(references: Shards) -> _ByProblem:
    """Decided answers; a few hundred bytes of memory for each problem."""
    read = pa.schema([pa.field(each.name, each.type) for each in tables.REFERENCE_ANSWERS if each.name in _DECIDED])
    return _ByProblem((batch for shard in references.values() for batch in arrow_batches(shard, read)), read)


def additional_rows(rows: Batches) -> Batches:
    """Rows of the config `additional_problems`: those problems without a published solution."""
    for batch in rows:
        yield batch.filter(pc.equal(batch.column("solutions"), 0))


# ---- GenSelect

SELECTION_PROMPT = """Several people have solved a problem of mathematics. Compare their solutions and find out which
one has the right final answer. End with a line that holds the word Judgment, a colon and its number.

Problem:
{problem}

{candidates}"""
"""User message of a comparison; names in braces stand for the statement and the numbered candidates."""


def selection_prompt(template: str, problem: str, texts: list[str]) -> str:
    """The template with a problem and its candidates, numbered from 1; braces in these are text."""
    numbered = (f"Candidate {number}:\n{text.strip()}" for number, text in enumerate(texts, 1))
    values = {"problem": problem, "candidates": "\n\n".join(numbered)}
    return re.sub(r"\{(problem|candidates)\}", lambda found: values[found[1]], template)


OF_PROBLEMS = ["problem_id", "problem_type", "problem_source", "answer_source"]
"""Columns of published problems that rows of comparisons tell of."""


def selection_rows(
    selections: Shards, summaries: Shards, problems: Iterable[pa.RecordBatch], licences: Licences, template: str
) -> Batches:
    """Rows of the config `genselect`: comparisons whose choice is right.

    Args:
        selections: all comparisons.
        summaries: of those that choose right; one stands for its comparison.
        problems: the published ones, as far as `OF_PROBLEMS` goes; some sixty bytes of memory for each.
        licences: of the rows.
        template: of the user message; see `selection_prompt`.

    Raises:
        UnmatchedRowsError: a comparison is of a problem that is not published.
    """
    of_problems = _ByProblem(problems, pa.schema([PROBLEMS.field(name) for name in OF_PROBLEMS]))
    make = partial(_selection, template=template)
    for name, shard in selections.items():
        chosen = {row["group_id"]: row["summary"] for row in summaries[name].rows()} if name in summaries else {}
        batch: list[Row] = []
        for row in shard.rows():
            if row["outcome"] == "right":
                batch.append(make({**row, "summary": chosen.get(row["group_id"])}))
            if len(batch) == _ROWS:
                yield _selections(batch, of_problems, licences)
                batch = []
        if batch:
            yield _selections(batch, of_problems, licences)


_ROWS = 32
"""Comparisons at once: each holds up to sixteen candidates."""


def _selection(row: Row, template: str) -> Row:
    asked = selection_prompt(template, row["problem"], [candidate["text"] for candidate in row["candidates"]])
    text = row["summary"] or row["comparison"] or ""
    reasoning = row.get("reasoning")
    said = [{"role": "user", "content": asked}, {"role": "assistant", "content": text, "reasoning": reasoning}]
    return {
        **row,
        "problem": asked,
        "statement": row["problem"],
        "generated_solution": f"<think>\n{reasoning}\n</think>\n{text}" if reasoning else text,
        "generation_model": row["selection_model"],
        "inference_mode": "genselect",
        "solution_id": row["chosen_solution_id"],
        "candidates": [{name: each[name] for name in ("solution_id", "text", "correct")} for each in row["candidates"]],
        "messages": said,
    }


def _selections(rows: list[Row], of_problems: _ByProblem, licences: Licences) -> pa.RecordBatch:
    given = pa.RecordBatch.from_pylist(
        [{name: row.get(name) for name in SELECTIONS.names} for row in rows],
        schema=pa.schema([pa.field(each.name, each.type) for each in SELECTIONS]),
    )
    columns: Columns = {name: given.column(name) for name in SELECTIONS.names}
    columns |= of_problems.each_of(columns["problem_id"])
    return batch_of(columns | _facts(columns, licences, len(given)), SELECTIONS, len(given))
