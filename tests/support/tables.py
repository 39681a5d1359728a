"""Tables in memory, and recipes of tables, for tests of what reads and writes them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from omr_kedro.shards import Check, Finished, Row, Scratch, Shard, Shards, accept
from omr_kedro.shards.identity import fingerprint, shard_names


def shards_of(rows: Sequence[Row], count: int = 2) -> Shards:
    """The rows, dealt to `count` shards by their thread, or else in turn."""
    names = shard_names(count)
    dealt: dict[str, list[Row]] = {name: [] for name in names}
    threads: dict[Any, str] = {}
    for number, row in enumerate(rows):
        thread = row.get("thread_id", number)
        dealt[threads.setdefault(thread, names[len(threads) % count])].append(row)
    return as_shards(dealt)


def as_shards(dealt: Mapping[str, Sequence[Row]]) -> Shards:
    """Shards with these rows."""
    return Shards(Shard(name, fingerprint(list(rows)), len(rows), partial(iter, rows)) for name, rows in dealt.items())


def made(recipe: Any) -> Shards:
    """What a recipe makes, in memory."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        scratch = lambda name: Scratch(place / f"{name}.jsonl", place / "retired", lambda: iter(()))  # noqa: E731
        rows = {shard.id: list(shard.rows) for shard in recipe.finished(list(recipe.fingerprints), scratch)}
    return as_shards({name: rows[name] for name in recipe.fingerprints})


def rows_made(recipe: Any) -> list[Row]:
    """All rows that a recipe makes."""
    return list(made(recipe).rows())


@dataclass
class Given:
    """A recipe of given rows, that notes which shards were made."""

    rows: Mapping[str, Sequence[Row]]
    made: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda name: None
    check: Check = accept

    @property
    def fingerprints(self) -> dict[str, str]:
        return {name: fingerprint(orjson.dumps(rows).decode()) for name, rows in self.rows.items()}

    def finished(self, pending: Sequence[str], scratch: Callable[[str], Scratch]) -> Generator[Finished, None, None]:
        for name in pending:
            self.made.append(name)
            self.before(name)
            yield Finished(name, self.rows[name])


def given(rows: Iterable[Row], count: int = 3) -> Given:
    """A recipe of these rows, dealt in turn."""
    names = shard_names(count)
    dealt: dict[str, list[Row]] = {name: [] for name in names}
    for number, row in enumerate(rows):
        dealt[names[number % count]].append(row)
    return Given(dealt)
