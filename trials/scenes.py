"""What is disturbed: the real code, from tables alone to a whole Kedro run. Each scene ends with the same files."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from tests.support.hostile_texts import passage

from omr_kedro import tables
from omr_kedro.llm.calls import CallPlan, Completion, Request, Sampling
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.pipelines.llm_stage import Dropped, Kept, Outcome, settle
from omr_kedro.shards import (
    Recipe,
    Row,
    Shard,
    Shards,
    TableStore,
    content_id,
    map_parts,
    map_shards,
    shard_of,
    split_stream,
)
from omr_kedro.shards.formats import Format
from omr_kedro.shards.identity import fingerprint, shard_names

WINDOW = 8
TIMEOUT_S = 3.0


class Scene(Protocol):
    """One piece of work that can be done again until it is done."""

    name: str
    processes: int
    """How many work at the same time on the same data."""
    versions: int
    """2 when there is a changed input to work with."""
    window: int
    """Calls that all processes together may have in flight."""

    def prepare(self, folder: Path) -> None:
        """Make what the work starts from; called in this process, before any child."""
        ...

    def run(self, folder: Path, endpoint: str, version: int, number: int) -> None:
        """Do the work, as the process of this number; called in a child."""
        ...

    def finish(self, folder: Path, endpoint: str, version: int) -> None:
        """Do whatever is left in one process, and declare the tables finished; called in a child."""
        ...


NUMBERS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("number", pa.int64(), nullable=False),
        pa.field("text", pa.string()),
    ]
)


@dataclass
class Tables:
    """Rows routed to shards, then derived twice: JSON Lines and Parquet. No model."""

    name: str = "tables"
    processes: int = 1
    versions: int = 2
    window: int = 0
    rows: int = 320
    shards: int = 5

    def prepare(self, folder: Path) -> None:
        """Nothing: rows come from the version."""

    def run(self, folder: Path, endpoint: str, version: int, number: int) -> None:
        """Save the three tables one after the other."""
        del endpoint, number
        routed = _trusting(folder / "routed", "jsonl")
        doubled = _trusting(folder / "doubled", "parquet")
        summed = _trusting(folder / "summed", "jsonl")
        routed.save(split_stream(lambda: self._stream(version), self.shards, version))
        doubled.save(map_shards(_double, routed.shards()))
        summed.save(map_shards(_add, routed.shards(), doubled.shards()))

    def finish(self, folder: Path, endpoint: str, version: int) -> None:
        """The same again."""
        self.run(folder, endpoint, version, 0)

    def _stream(self, version: int) -> Iterator[tuple[str, Row]]:
        for number in range(self.rows):
            key = content_id(str(number))
            # Versions differ in some rows, and never in the size of a file: sizes must not be what gives a shard away.
            text = random.Random(f"{number} {version if number % 3 == 0 else 0}").choice("abcdefgh") * 150
            yield shard_of(key, self.shards), {"id": key, "number": number, "text": text}


def _trusting(folder: Path, format: Format) -> TableStore:
    """A table that looks at sizes alone: a checksum would hide that a precaution of writing is missing."""
    return TableStore(folder, format, NUMBERS, integrity="never")


def _double(shard: Shard) -> Iterator[Row]:
    for row in shard.rows():
        yield {**row, "number": row["number"] * 2}


def _add(first: Shard, second: Shard) -> Iterator[Row]:
    for one, other in zip(first.rows(), second.rows(), strict=True):
        yield {**one, "number": one["number"] + other["number"], "text": one["text"][:9] + other["text"][:9]}


@dataclass
class Spread(Tables):
    """A table whose shards two worker processes make."""

    name: str = "workers"

    def run(self, folder: Path, endpoint: str, version: int, number: int) -> None:
        """Save one table, of parts that are numbers of rows."""
        del endpoint, number
        parts = [(version, first) for first in range(0, self.rows, self.rows // self.shards)]
        made = map_parts(_part, parts, by=version, processes=2)
        TableStore(folder / "spread", "parquet", NUMBERS).save(made)


def _part(part: tuple[int, int]) -> Iterator[Row]:
    version, first = part
    for number in range(first, first + 64):
        yield {"id": content_id(str(number)), "number": number, "text": str(version if number % 3 == 0 else 0) * 150}


@dataclass
class Calls:
    """Ask, read, ask about what was read: a client, a journal, and four tables."""

    name: str = "calls"
    processes: int = 1
    versions: int = 2
    window: int = WINDOW
    rows: int = 66
    shards: int = 4
    times_out_s: float = TIMEOUT_S

    def prepare(self, folder: Path) -> None:
        """Nothing: questions come from the version."""

    def run(self, folder: Path, endpoint: str, version: int, number: int) -> None:
        """Save the tables one after the other."""
        del number
        for store, recipe in self._steps(folder, endpoint, version, None):
            store.save(recipe())

    def finish(self, folder: Path, endpoint: str, version: int) -> None:
        """The same again."""
        self.run(folder, endpoint, version, 0)

    def _steps(
        self, folder: Path, endpoint: str, version: int, only: list[str] | None
    ) -> Iterator[tuple[TableStore, Callable[[], Recipe]]]:
        """Each table and how it is made, of all shards or of some."""
        model = ChatModel(ModelEntry("m", endpoint, limits=Limits(WINDOW, timeout_s=self.times_out_s, patience_s=60)))

        def opened(store: TableStore) -> Shards:
            return store.shards() if only is None else store.part(only)

        first = TableStore(folder / "first_completions", "jsonl", tables.COMPLETIONS)
        kept = TableStore(folder / "kept", "parquet", NUMBERS)
        dropped = TableStore(folder / "dropped", "jsonl", tables.DROPPED)
        second = TableStore(folder / "second_completions", "parquet", tables.COMPLETIONS)
        names = only or shard_names(self.shards)
        questions = {name: [row for row in self._questions(version) if row[0] == name] for name in names}
        rows = _in_memory({name: [row for _, row in found] for name, found in questions.items()}, whole=only is None)
        yield first, lambda: _call_plan("first", model, rows)

        def read() -> tuple[Recipe, ...]:
            return settle("trial", _read, rows, opened(first), key="id", max_failed_share=1.0)

        yield kept, lambda: read()[0]
        yield dropped, lambda: read()[1]
        yield second, lambda: _call_plan("second", model, opened(kept))

    def _reason(self, number: int) -> str:
        """What strangers write; one in six writes it to harm, and the replies repeat it."""
        text = passage(random.Random(number))[:3000] if number % 6 == 0 else "because " * 20
        return text.encode("utf-8", "replace").decode()

    def _questions(self, version: int) -> Iterator[tuple[str, Row]]:
        for number in range(self.rows):
            key = content_id(str(number))
            text = f"question {number} of version {version if number % 3 == 0 else 0} {self._reason(number)}"
            yield shard_of(key, self.shards), {"id": key, "number": number, "text": text}


@dataclass
class Parts(Calls):
    """The same tables, made by three processes that each take every shard through all of them, in another order."""

    name: str = "parts"
    processes: int = 3
    versions: int = 1
    window: int = 3 * WINDOW

    def run(self, folder: Path, endpoint: str, version: int, number: int) -> None:
        """Take one shard after the other through the tables."""
        names = shard_names(self.shards)
        for name in names[number:] + names[:number]:
            for store, recipe in self._steps(folder, endpoint, version, [name]):
                store.save_part(recipe())

    def finish(self, folder: Path, endpoint: str, version: int) -> None:
        """Make what is missing, then declare each table finished, as the parent of jobs does."""
        self.run(folder, endpoint, version, 0)
        for store, recipe in self._steps(folder, endpoint, version, None):
            store.conclude(recipe())


def _call_plan(name: str, model: ChatModel, rows: Shards) -> CallPlan:
    def requests(shard: str) -> Iterable[Request]:
        for row in rows[shard].rows():
            yield Request(row["id"], [{"role": "user", "content": f"{name}: {row['text']}"}], Sampling(), "trial")

    return CallPlan(
        name=name,
        model=model,
        asks=requests,
        expected={shard.id: shard.count for shard in rows.values()},
        fingerprints={shard.id: fingerprint(name, shard.digest) for shard in rows.values()},
        max_failed_share=1.0,
    )


def _read(row: Row, completions: list[Completion]) -> Outcome:
    if completions[0].error_kind:
        return Dropped("failed", completions[0].error or "")
    if row["number"] % 4 == 0:
        return Dropped("every fourth")
    return Kept([{**row, "text": completions[0].text}])


def _in_memory(rows: dict[str, list[Row]], *, whole: bool) -> Shards:
    def shard(name: str, rows: list[Row]) -> Shard:
        return Shard(name, fingerprint(rows), len(rows), lambda: iter(rows))

    return Shards((shard(name, found) for name, found in rows.items()), whole=whole)
