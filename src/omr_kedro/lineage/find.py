"""From the beginning of an id to the shard that holds all about it.

A thread's shard follows from its id. A problem's id says nothing of its thread, so the tables are searched for it, in
the order of the pipeline. There is no index to keep up to date: a search reads a million problems in seconds, and is
asked for by a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from omr_kedro.lineage.project_tables import ProjectTables, key_of
from omr_kedro.shards import OmrError, shard_of
from omr_kedro.shards.search import find_rows

_SHORTEST, _WHOLE = 4, 20
_SHOWN = 5


class UnknownIdError(OmrError):
    """No row has the id, or several begin so."""


@dataclass(frozen=True)
class Place:
    """Where a row was found."""

    kind: str
    """`thread`, `problem`, or `record` for a line of the input that became no thread."""
    id: str
    thread_id: str | None
    shard: str


def find(tables: ProjectTables, given: str) -> Place:
    """The one row whose id begins so.

    Raises:
        UnknownIdError: there is none, there are several, or it is no id at all.
    """
    wanted = given.strip().lower()
    if not re.fullmatch(rf"[0-9a-f]{{{_SHORTEST},{_WHOLE}}}", wanted):
        raise UnknownIdError(
            f"'{given}' is no id. Ids are {_WHOLE} hexadecimal digits, as in the columns `problem_id` and `thread_id`; "
            f"the first {_SHORTEST} or more are enough where they are unique."
        )
    found: dict[str, Place] = {}
    for place in _hits(tables, wanted):
        found.setdefault(place.id, place)
        if len(wanted) == _WHOLE or len(found) > _SHOWN:
            break
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        some = ", ".join(f"{place.id} ({place.kind})" for place in list(found.values())[:_SHOWN])
        more = ", and more" if len(found) > _SHOWN else ""
        raise UnknownIdError(f"Several ids begin with {wanted}: {some}{more}. Give more digits.")
    raise UnknownIdError(_unknown(tables, wanted))


def _hits(tables: ProjectTables, wanted: str) -> Iterator[Place]:
    for stage in tables.stages:
        names = stage.stage.kept if stage.given else stage.outcome
        for name in names:
            yield from _hits_in(tables, name, wanted)


def _hits_in(tables: ProjectTables, name: str, wanted: str) -> Iterator[Place]:
    store = tables.stores[name]
    key = key_of(store.schema)
    kind = {"thread_id": "thread", "problem_id": "problem"}.get(key, "record")
    if kind == "thread" and len(wanted) == _WHOLE:
        # The one shard that it can be in.
        for shard in {shard_of(wanted, int(name.rpartition("-of-")[2])) for name in store.written()[:1]}:
            rows = tables.rows(name, shard)
            yield from (Place(kind, wanted, wanted, shard) for row in rows if row[key] == wanted)
        return
    columns = list(dict.fromkeys([key, "thread_id"]))
    for shard, row in find_rows(store, key, wanted, columns):
        yield Place(kind, row[key], row["thread_id"], shard)


def _unknown(tables: ProjectTables, wanted: str) -> str:
    searched = [name for stage in tables.stages for name in stage.stage.kept]
    lines = [f"No thread and no problem has an id that begins with {wanted}."]
    filled = [name for name in searched if tables.stores[name].written()]
    if not filled:
        folder = tables.stores[searched[0]].folder.parent
        lines.append(f"Nothing was made yet in {folder}: run the pipeline first, or name another environment by --env.")
    else:
        lines.append(f"Searched: {', '.join(filled)}.")
        if unfinished := tables.unfinished(searched):
            lines.append(f"Not finished yet, so it may still come up in: {', '.join(unfinished)}.")
        lines.append("Each environment has tables of its own; --env names another.")
    return " ".join(lines)
