"""State of each stage, read from tables and journals by any terminal, while a run is at work and after it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from omr_kedro.lineage.project_tables import ProjectTables, StageTables, is_completions
from omr_kedro.screen import add_numbers, stage_rows
from omr_kedro.shards import TableStore

_BLOCK = 1 << 20
_AT_WORK_S = 120
"""A journal that was written to so lately is one of a run at work; calls of slow models take as long."""


@dataclass(frozen=True)
class StageState:
    """A stage by what lies on the disk."""

    stage: str
    state: str
    """`done`, `at work`, `begun` or `waiting`."""
    rows: int | None
    """Rows that it was given; None where these are not all there."""
    shards: int
    """Shards whose rows are settled."""
    steps: int
    """Steps that are kept, in journals and tables: calls, and runs of code."""
    seconds_ago: float | None
    """Since its last step was written; None where no shard is open."""


def read_stages(tables: ProjectTables) -> list[StageState]:
    """The stages of the pipelines, in their order. Takes no lock and writes nothing."""
    return [_state(tables, stage) for stage in tables.stages]


def _state(tables: ProjectTables, stage: StageTables) -> StageState:
    stores = [tables.stores[name] for name in stage.names]
    asked = [store for store in stores if is_completions(store)]
    journals = [path for store in asked for path in _journals(store)]
    written = [store.written() for store in stores]
    given = [tables.stores[name] for name in stage.given]
    changed = max((path.stat().st_mtime for path in journals if path.exists()), default=None)
    ago = None if changed is None else max(time.time() - changed, 0.0)
    if all(store.complete for store in stores):
        state = "done"
    elif ago is not None and ago < _AT_WORK_S:
        state = "at work"
    else:
        state = "begun" if journals or any(written) else "waiting"
    return StageState(
        stage=stage.stage.name,
        state=state,
        rows=sum(store.shards().count for store in given) if given and all(s.complete for s in given) else None,
        shards=len(tables.stores[stage.stage.dropped].written()),
        steps=sum(map(steps_on_disk, asked)),
        seconds_ago=ago,
    )


def steps_on_disk(store: TableStore) -> int:
    """Steps of a table of completions that are kept: rows of finished shards, and lines of journals."""
    return store.rows_written + sum(map(_lines, _journals(store)))


def _journals(store: TableStore) -> list[Path]:
    return [store.scratch(name).open for name in store.opened()]


def _lines(path: Path) -> int:
    with suppress(FileNotFoundError), path.open("rb") as file:  # a run may just have finished the shard
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
    return 0


def stage_table(states: Sequence[StageState]) -> Table:
    """One row a stage, for a screen of 80 columns or more."""
    table = stage_rows("Stages")
    table.add_column("state", no_wrap=True)
    add_numbers(table, "rows\nin", "shards\nsettled", "steps\nkept", "last\nstep")
    for item in states:
        table.add_row(
            item.stage,
            item.state,
            "-" if item.rows is None else f"{item.rows:,}",
            f"{item.shards:,}",
            f"{item.steps:,}",
            "-" if item.seconds_ago is None else f"{item.seconds_ago:,.0f} s ago",
        )
    return table
