"""From the beginning of an id to the row that has it.

A thread's shard follows from its id. The id of a problem or a solution says nothing of its thread, so the tables are
searched for it, in the order of the pipeline. There is no index to keep up to date: a search reads a million problems
in seconds, and is asked for by a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from omr_kedro.lineage.project_tables import PARTS, ProjectTables, key_of
from omr_kedro.shards import OmrError
from omr_kedro.shards.search import find_rows

_SHORTEST, _WHOLE = 4, 20
_SHOWN = 5


class UnknownIdError(OmrError):
    """No row has the id, or several begin so."""


_KINDS = {
    "thread_id": "thread",
    "problem_id": "problem",
    "answer_id": "answer",
    "solution_id": "solution",
    "group_id": "group",
}
_RECORD = "record"
"""A line of the input that became no thread."""


@dataclass(frozen=True)
class Place:
    """Where a row was found: what it comes from."""

    kind: str
    """`thread`, `problem`, `answer`, `solution`, `group` (of candidates) or `record`."""
    id: str
    thread_id: str | None
    problem_id: str | None


def find(tables: ProjectTables, given: str) -> Place:
    """The one row whose id begins so.

    Raises:
        UnknownIdError: there is none, there are several, or it is no id at all.
    """
    wanted = given.strip().lower()
    if not re.fullmatch(rf"[0-9a-f]{{{_SHORTEST},{_WHOLE}}}", wanted):
        raise UnknownIdError(
            f"'{given}' is no id. Ids are {_WHOLE} hexadecimal digits, as in the columns `problem_id`, `solution_id` "
            f"and `thread_id`; the first {_SHORTEST} or more are enough where they are unique."
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
    for name in _searched(tables):
        yield from _hits_in(tables, name, wanted)


def _searched(tables: ProjectTables) -> list[str]:
    """The tables that some id comes up in first, in the order of the pipeline.

    Parts of problems keep their ids from stage to stage, and the texts of solutions are long: they are searched where
    they are made, and nowhere else.
    """

    def key(name: str) -> str:
        return key_of(tables.stores[name].schema)

    passed_on = {
        name
        for stage in tables.stages
        for name in stage.stage.kept
        if key(name) in PARTS and key(name) in map(key, stage.given)
    }
    names = dict.fromkeys(
        name
        for stage in tables.stages
        for name in (*stage.given, *(stage.stage.kept if stage.given else stage.outcome))
    )
    return [name for name in names if name not in passed_on]


def _hits_in(tables: ProjectTables, name: str, wanted: str) -> Iterator[Place]:
    store = tables.stores[name]
    key = key_of(store.schema)
    kind = _KINDS.get(key, _RECORD)
    if kind == "thread" and len(wanted) == _WHOLE:
        # The one shard that it can be in.
        for shard in tables.shards_of(name, {"thread_id": [wanted]}):
            rows = tables.rows(name, shard)
            yield from (Place(kind, wanted, wanted, None) for row in rows if row[key] == wanted)
        return
    columns = [column for column in dict.fromkeys([key, "problem_id", "thread_id"]) if column in store.schema.names]
    for _, row in find_rows(store, key, wanted, columns):
        yield Place(kind, row[key], row["thread_id"], row.get("problem_id"))


def _unknown(tables: ProjectTables, wanted: str) -> str:
    searched = [name for name in _searched(tables) if key_of(tables.stores[name].schema) in _KINDS]
    lines = [f"No thread, no problem, no solution and no group has an id that begins with {wanted}."]
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
