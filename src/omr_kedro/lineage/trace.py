"""The lineage of a thread, a problem or a solution: its calls and what was decided about it, stage by stage.

All rows that come from a thread lie in its shard until problems are split anew, by their own ids; then those of a
problem lie in the problem's. So one shard of each table is read for a problem, whatever the size of the tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from omr_kedro.lineage.calls import Call, calls_in
from omr_kedro.lineage.find import Place, find
from omr_kedro.lineage.parts import Parts, SampleWay, parts_of
from omr_kedro.lineage.project_tables import ID_COLUMNS, ProjectTables, StageTables, is_completions, key_of
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
    """`thread`, `problem`, `answer`, `solution`, `group` (of candidates), or `record`."""
    shards: list[str]
    """Where its rows lie: the thread's shard, and those of its problems where these are split anew."""
    thread_id: str | None
    thread: Row | None
    """Its row of `tables.THREADS`; None where that table has none."""
    problems: list[Row]
    """The rows as they were last kept, one for each problem: statement, answer, type."""
    samples: list[SampleWay]
    """The ways of the samples that were drawn of the problems, or of the one that was asked for."""
    steps: list[Step]


def trace(tables: ProjectTables, given: str) -> Lineage:
    """The lineage of the one thread, problem, answer, solution or group whose id begins with `given`.

    Raises:
        UnknownIdError: there is none, or there are several.
    """
    return _Tracer(tables, find(tables, given)).lineage()


class _Tracer:
    def __init__(self, tables: ProjectTables, place: Place) -> None:
        self._tables = tables
        self._place = place
        self._found: dict[str, list[Row]] = {}
        self._problems: list[str] = []
        self._problems = self._line()
        groups = self._groups()
        self._parts = self._samples_and_answers(groups)
        thread = [place.thread_id] if place.thread_id else []
        shown = self._of_parts(groups)
        self._ids = list(dict.fromkeys([*thread, *self._problems, *self._parts.ids, *shown, place.id]))

    def lineage(self) -> Lineage:
        place = self._place
        steps = [self._step(stage) for stage in self._tables.stages]
        others = [item for name in self._tables.others for item in self._evidence(name)]
        if others:
            steps.append(Step("other tables", [], [], others, []))
        return Lineage(
            id=place.id,
            kind=place.kind,
            shards=list(dict.fromkeys(shard for name in self._kept() for shard in self._shards(name))),
            thread_id=place.thread_id,
            thread=next(self._threads(), None),
            problems=self._last_rows(),
            samples=list(self._parts.samples),
            steps=[step for step in steps if step.calls or step.evidence or step.decisions],
        )

    def _line(self) -> list[str]:
        """The problem with those it was made from and those made from it; all problems of a thread."""
        place = self._place
        links: dict[str, str | None] = {}
        for name in self._kept():
            if self._key(name) == "problem_id" and self._tables.shard_keys.get(name) == "thread_id":
                for row in self._rows(name):
                    if row["thread_id"] == place.thread_id:
                        links.setdefault(row["problem_id"], row.get("original_problem_id"))
        if place.problem_id is None:
            return list(links) if place.kind == "thread" else []
        line = {place.problem_id}
        while more := {one for pair in links.items() if line & set(pair) for one in pair if one} - line:
            line |= more
        return list(dict.fromkeys([*(one for one in links if one in line), place.problem_id]))

    def _samples_and_answers(self, groups: Mapping[str, Collection[str]]) -> Parts:
        """Samples and answers of the problems; of a part that was asked for, itself and what belongs to it."""
        names = (name for name in self._outcomes() if self._key(name) in ("solution_id", "answer_id"))
        rows = (row for name in names for row in self._rows(name) if row["problem_id"] in self._problems)
        parts, place = parts_of(rows), self._place
        if place.kind == "group":
            return parts.of_solutions(groups[place.id])
        return parts.only(place.id) if place.kind in ("solution", "answer") else parts

    def _groups(self) -> dict[str, Collection[str]]:
        """Groups of candidates of the problems, each with the ids of its candidates."""
        name = next((name for name in self._outcomes() if self._key(name) == "group_id"), None)
        rows = self._rows(name) if name else ()
        return {
            row["group_id"]: {candidate["solution_id"] for candidate in row["candidates"]}
            for row in rows
            if row["problem_id"] in self._problems
        }

    def _of_parts(self, groups: Mapping[str, Collection[str]]) -> list[str]:
        """The groups to show: all of a problem, those that show a sample that was asked for, or the one itself."""
        kind = self._place.kind
        if kind == "group":
            return [self._place.id]
        samples = {sample.solution_id for sample in self._parts.samples}
        return [one for one, ids in groups.items() if kind not in ("solution", "answer") or samples & set(ids)]

    def _outcomes(self) -> dict[str, None]:
        """The tables that rows of stages come from and go to."""
        return dict.fromkeys(name for stage in self._tables.stages for name in (*stage.given, *stage.outcome))

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
            if self._key(name) == "problem_id":
                last |= {row["problem_id"]: row for row in self._about(name)}
        return [last[row_id] for row_id in self._ids if row_id in last]

    def _shards(self, name: str) -> list[str]:
        # A record that is no thread lies where its own id says.
        return self._tables.shards_of(
            name, {"thread_id": [self._place.thread_id or self._place.id], "problem_id": self._problems}
        )

    def _rows(self, name: str) -> Iterator[Row]:
        """All rows of the shards that hold what belongs to the row."""
        for shard in self._shards(name):
            yield from self._tables.rows(name, shard)

    def _about(self, name: str) -> list[Row]:
        if name not in self._found:
            key = self._key(name)
            self._found[name] = [row for row in self._rows(name) if row.get(key) in self._ids]
        return self._found[name]

    def _step(self, stage: StageTables) -> Step:
        calls: list[Call] = []
        evidence: list[Evidence] = []
        for name in stage.names:
            if is_completions(self._tables.stores[name]):
                calls += self._calls(name)
            elif name not in stage.outcome:
                evidence += self._evidence(name)
        decisions = list(self._decisions(stage))
        return Step(stage.stage.name, self._tables.unfinished(stage.names), calls, evidence, decisions)

    def _calls(self, name: str) -> Iterator[Call]:
        for shard in self._shards(name):
            found = calls_in(self._tables, name, shard, set(self._ids))
            # A sample may have several calls, and is named by the first of them.
            others = {(call.row_id, call.sample_index) for call in found if call.call_key in self._parts.left_out}
            yield from (call for call in found if (call.row_id, call.sample_index) not in others)

    def _evidence(self, name: str) -> list[Evidence]:
        rows = self._about(name)
        return [Evidence(name, self._key(name), rows)] if rows else []

    def _decisions(self, stage: StageTables) -> Iterator[Decision]:
        given = [row[self._key(name)] for name in stage.given for row in self._about(name)]
        key, dropped = self._key(stage.stage.dropped), self._dropped(stage)
        if not stage.given:
            # Records have no row before this stage; those of the table are copies of the thread, or what was no thread.
            given = [*self._ids[:1], *(row[key] for row in dropped)]
        for row_id in dict.fromkeys(given):
            kept = [name for name in stage.stage.kept if self._given_by(row_id, name)]
            became = {child for name in kept for child in self._given_by(row_id, name)} - {row_id}
            if kept:
                yield Decision(row_id, "kept", kept, sorted(became, key=self._ids.index))
            rows = [row for row in dropped if row[key] == row_id]
            for row in rows:
                yield Decision(row_id, row["outcome"], [], [], row["reason"], row.get("detail") or "")
            if not kept and not rows:
                unfinished = bool(self._tables.unfinished(stage.outcome))
                yield Decision(row_id, "open" if unfinished else "missing")

    def _dropped(self, stage: StageTables) -> list[Row]:
        name = stage.stage.dropped
        thread = None if stage.given else self._place.thread_id
        key = self._key(name)
        return [row for row in self._rows(name) if row[key] in self._ids or (thread and row["thread_id"] == thread)]

    def _key(self, name: str) -> str:
        return key_of(self._tables.stores[name].schema)

    def _given_by(self, row_id: str, name: str) -> Sequence[str]:
        """Ids of the rows of a table that a row has given: itself, or what was made of it."""
        columns = (*ID_COLUMNS, "original_problem_id")
        return [row[self._key(name)] for row in self._about(name) if row_id in (row.get(column) for column in columns)]
