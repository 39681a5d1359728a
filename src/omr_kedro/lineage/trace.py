"""The lineage of one thread or problem: its calls and what was decided about it, stage by stage.

All rows that come from a thread lie in its shard, so one shard of each table is read, whatever the size of the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from omr_kedro.lineage.calls import Call, calls_in
from omr_kedro.lineage.find import Place, find
from omr_kedro.lineage.project_tables import ProjectTables, StageTables, is_completions, key_of
from omr_kedro.shards import Row


@dataclass(frozen=True)
class Decision:
    """A stage's decision about one row."""

    row_id: str
    outcome: str
    """`kept`, `dropped`, `failed`; `open` where the stage has not come to it, `missing` where no table tells."""
    tables: list[str] = field(default_factory=list)
    """Where it was kept."""
    became: list[str] = field(default_factory=list)
    """Ids of the rows that it gave, where they are not its own."""
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Evidence:
    """Rows about the problem in a table that is no outcome, as verdicts of pairs."""

    table: str
    key: str
    """Column that says whose row it is."""
    rows: list[Row]


@dataclass(frozen=True)
class Step:
    """One stage."""

    stage: str
    unfinished: list[str]
    """Its tables that are not finished: what is shown of them is what was last written."""
    calls: list[Call]
    evidence: list[Evidence]
    decisions: list[Decision]


@dataclass(frozen=True)
class Lineage:
    """Everything that is on disk about one row."""

    id: str
    kind: str
    """`thread`, `problem`, or `record`."""
    shard: str
    thread_id: str | None
    thread: Row | None
    """Its row of `tables.THREADS`; None where that table has none."""
    problems: list[Row]
    """The rows as they were last kept, one for each problem: statement, answer, type."""
    steps: list[Step]


def trace(tables: ProjectTables, given: str) -> Lineage:
    """The lineage of the one thread or problem whose id begins with `given`.

    Raises:
        UnknownIdError: there is none, or there are several.
    """
    return _Tracer(tables, find(tables, given)).lineage()


class _Tracer:
    def __init__(self, tables: ProjectTables, place: Place) -> None:
        self._tables = tables
        self._place = place
        self._found: dict[str, list[Row]] = {}
        self._ids = self._family()

    def lineage(self) -> Lineage:
        place = self._place
        steps = [self._step(stage) for stage in self._tables.stages]
        others = [item for name in self._tables.others for item in self._evidence(name)]
        if others:
            steps.append(Step("other tables", [], [], others, []))
        return Lineage(
            id=place.id,
            kind=place.kind,
            shard=place.shard,
            thread_id=place.thread_id,
            thread=next(self._threads(), None),
            problems=self._last_rows(),
            steps=[step for step in steps if step.calls or step.evidence or step.decisions],
        )

    def _family(self) -> list[str]:
        """The thread, then the row with those it was made from and those made from it; all problems of a thread."""
        place = self._place
        links: dict[str, str | None] = {}
        for name in self._kept():
            for row in self._tables.rows(name, place.shard):
                if "problem_id" in row and row["thread_id"] == place.thread_id:
                    links.setdefault(row["problem_id"], row.get("original_problem_id"))
        ids = [place.thread_id] if place.thread_id else []
        if place.kind == "thread":
            return [*ids, *links]
        line = {place.id}
        while more := {one for pair in links.items() if line & set(pair) for one in pair if one} - line:
            line |= more
        ordered = [*(one for one in links if one in line), place.id]
        return list(dict.fromkeys([*ids, *ordered]))

    def _kept(self) -> Iterator[str]:
        for stage in self._tables.stages:
            yield from (name for name in stage.stage.kept if name in self._tables.stores)

    def _threads(self) -> Iterator[Row]:
        for name in self._kept():
            if self._key(name) == "thread_id":
                yield from self._about(name)

    def _last_rows(self) -> list[Row]:
        last: dict[str, Row] = {}
        for name in self._kept():
            last |= {row["problem_id"]: row for row in self._about(name) if "problem_id" in row}
        return [last[row_id] for row_id in self._ids if row_id in last]

    def _about(self, name: str) -> list[Row]:
        if name not in self._found:
            rows, key = self._tables.rows(name, self._place.shard), self._key(name)
            self._found[name] = [row for row in rows if row.get(key) in self._ids]
        return self._found[name]

    def _step(self, stage: StageTables) -> Step:
        calls: list[Call] = []
        evidence: list[Evidence] = []
        for name in stage.names:
            if is_completions(self._tables.stores[name]):
                calls += calls_in(self._tables, name, self._place.shard, set(self._ids))
            elif name not in stage.outcome:
                evidence += self._evidence(name)
        decisions = list(self._decisions(stage))
        return Step(stage.stage.name, self._tables.unfinished(stage.names), calls, evidence, decisions)

    def _evidence(self, name: str) -> list[Evidence]:
        rows = self._about(name)
        return [Evidence(name, self._key(name), rows)] if rows else []

    def _decisions(self, stage: StageTables) -> Iterator[Decision]:
        given = [row[self._key(name)] for name in stage.given for row in self._about(name)]
        dropped = self._dropped(stage)
        if not stage.given:
            # Records have no row before this stage; those of the table are copies of the thread, or what was no thread.
            given = [*self._ids[:1], *(row["row_id"] for row in dropped)]
        for row_id in dict.fromkeys(given):
            kept = [name for name in stage.stage.kept if self._given_by(row_id, name)]
            became = {child for name in kept for child in self._given_by(row_id, name)} - {row_id}
            if kept:
                yield Decision(row_id, "kept", kept, sorted(became, key=self._ids.index))
            rows = [row for row in dropped if row["row_id"] == row_id]
            yield from (Decision(row_id, row["outcome"], [], [], row["reason"], row["detail"] or "") for row in rows)
            if not kept and not rows:
                unfinished = bool(self._tables.unfinished(stage.outcome))
                yield Decision(row_id, "open" if unfinished else "missing")

    def _dropped(self, stage: StageTables) -> list[Row]:
        rows = self._tables.rows(stage.stage.dropped, self._place.shard)
        first = not stage.given
        thread = self._place.thread_id
        return [row for row in rows if row["row_id"] in self._ids or (first and thread and row["thread_id"] == thread)]

    def _key(self, name: str) -> str:
        return key_of(self._tables.stores[name].schema)

    def _given_by(self, row_id: str, name: str) -> Sequence[str]:
        """Ids of the rows of a table that a row has given: itself, or what was made of it."""
        parents = ("problem_id", "original_problem_id") if row_id != self._place.thread_id else ("thread_id",)
        return [row[self._key(name)] for row in self._about(name) if row_id in (row.get(column) for column in parents)]
