"""A benchmark as its makers publish it, read into the columns that all benchmarks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from omr_kedro.shards.errors import BadInputError
from omr_kedro.shards.printable import those_found
from omr_kedro.shards.recipes import Row
from omr_kedro.shards.source import Source


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Where a benchmark's problems come from, and which fields hold them."""

    name: str
    origin: str
    """Repository or path, for people."""
    revision: Callable[[], str]
    """Commit or digest of what will be read; raises `BadInputError` when it is not known."""
    fetch: Callable[[], Mapping[str, Path]]
    """The files by their names at the origin; downloads what is not here. Raises `BadInputError`."""
    problem: Sequence[str]
    """Fields that make the statement, joined by blank lines; the last must be there."""
    id: str | None = None
    """Field that holds the id; without one, file and row are the id."""
    count: int | None = None
    """How many problems there must be."""

    @property
    def identity(self) -> list[object]:
        """All that decides the rows.

        Raises:
            BadInputError: the revision is not known.
        """
        return [self.name, self.origin, self.revision(), list(self.problem), self.id, self.count]

    def rows(self) -> Iterator[Row]:
        """Rows of `tables.BENCHMARKS`.

        Raises:
            BadInputError: a file is missing or empty, a row has no statement, an id is there twice, or the number of
                problems is not `count`.
        """
        revision = self.revision()
        places: dict[str, str] = {}
        for file, path in self.fetch().items():
            for number, record in enumerate(Source(path).records(), start=1):
                place = f"{self.origin}/{file}, row {number}"
                if record.problem:
                    raise BadInputError(f"{place}: {record.problem}")
                fields = record.fields or {}
                own_id = self._id(fields, f"{PurePosixPath(file).with_suffix('')}:{number}", place)
                if (first := places.setdefault(own_id, place)) != place:
                    raise BadInputError(
                        f"{place}: the id {own_id} stands at {first} already. Leave out `benchmark_id` in the catalog "
                        "entry's `fields`: then file and row are the id."
                    )
                problem = self._problem(fields, place)
                yield {
                    "benchmark": self.name,
                    "benchmark_id": own_id,
                    "problem": problem,
                    "source": place,
                    "revision": revision,
                }
        if self.count not in {None, len(places)}:
            raise BadInputError(
                f"{self.origin} holds {len(places):,} problems, not {self.count:,} as the catalog entry's `count` says."
            )

    def _id(self, fields: Row, otherwise: str, place: str) -> str:
        if self.id is None:
            return otherwise
        if fields.get(self.id) in (None, ""):
            raise BadInputError(f"{place}: the field '{self.id}' is missing{those_found(fields)}")
        own_id = identifier(fields[self.id])
        if own_id is None:
            raise BadInputError(
                f"{place}: the field '{self.id}' must be text or a whole number, this is a "
                f"{type(fields[self.id]).__name__}"
            )
        return own_id

    def _problem(self, fields: Row, place: str) -> str:
        parts = [fields.get(name) for name in self.problem]
        if not isinstance(parts[-1], str) or not parts[-1].strip():
            raise BadInputError(f"{place}: the field '{self.problem[-1]}' is missing or empty{those_found(fields)}")
        for name, part in zip(self.problem, parts, strict=True):
            if not isinstance(part, str | None):
                raise BadInputError(f"{place}: the field '{name}' must be text, this is a {type(part).__name__}")
        return "\n\n".join(part.strip() for part in parts if isinstance(part, str) and part.strip())


def identifier(value: object) -> str | None:
    """The id of a problem, which benchmarks give as a text or as a whole number; None for anything else."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
