"""Measurements of earlier runs: lengths of replies, rows that a stage keeps; read from any workspace on this disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from omr_kedro.shards import Row, TableStore

_LOOKED_AT = 2000
"""Calls of a table that means are taken of; which thread is in which shard is chance, so the first will do."""

_COUNTS = ("model", "asked_model", "error_kind", "completion_tokens", "prompt_tokens", "prompt_hash")


@dataclass(frozen=True)
class Measured:
    """A number that was measured."""

    value: float
    count: int
    """Of how many rows or calls."""
    where: str
    """The workspace."""


@dataclass(frozen=True)
class CallMeans:
    """Means of the calls of one stage."""

    reply_tokens: Measured
    prompt_tokens: Measured | None
    """Of those with the wanted prompt."""


def siblings(store: TableStore) -> Iterator[TableStore]:
    """This table in each workspace that has it: data/<layer>/<workspace>/<table>. Its own comes first."""
    own = store.folder
    others = sorted(folder for folder in own.parent.parent.glob(f"*/{own.name}") if folder != own)
    return (TableStore(folder, store.format, store.schema) for folder in (own, *others) if folder.is_dir())


def call_means(store: TableStore, model: str, prompt_hash: str, few: int) -> CallMeans | None:
    """Means of the calls of a table of completions by the same model; None where too few were made."""
    for table in siblings(store):
        rows = [row for row in table.head(_LOOKED_AT, _COUNTS) if _asked(row) == model and not row["error_kind"]]
        replies = [row["completion_tokens"] or 0 for row in rows]
        prompts = [row["prompt_tokens"] for row in rows if row["prompt_hash"] == prompt_hash and row["prompt_tokens"]]
        if len(replies) >= few and any(replies):
            where = table.folder.parent.name
            prompt = _mean(prompts, where) if len(prompts) >= few else None
            return CallMeans(_mean(replies, where), prompt)
    return None


def row_rate(
    store: TableStore, parents: Sequence[TableStore], calls: Sequence[tuple[TableStore, str]], few: int
) -> Measured | None:
    """Rows of a table for each row that it was made from, in a workspace whose calls the same models answered.

    Args:
        store: the table.
        parents: what it was made from.
        calls: tables of completions that decide about its rows, each with the model that must have answered.
        few: fewer rows of the parents measure nothing.
    """
    for table in siblings(store):
        workspace = table.folder.parent.name
        given = [_in(workspace, parent) for parent in parents]
        asked = [(_in(workspace, completions), model) for completions, model in calls]
        if any(_asked(row) != model for completions, model in asked for row in completions.head(1)):
            continue
        shards = set(table.written()).intersection(*(parent.written() for parent in given))
        rows = sum(parent.part(shards).count for parent in given)
        if rows >= few and all(completions.head(1) for completions, _ in asked):
            return Measured(table.part(shards).count / rows, rows, workspace)
    return None


def _in(workspace: str, store: TableStore) -> TableStore:
    return TableStore(store.folder.parent.parent / workspace / store.folder.name, store.format, store.schema)


def _asked(row: Row) -> str:
    return str(row.get("asked_model") or row["model"])


def _mean(values: Sequence[float], where: str) -> Measured:
    return Measured(sum(values) / len(values), len(values), where)
