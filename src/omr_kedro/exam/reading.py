"""Files of gold rows, read row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator

import orjson
from pydantic import ValidationError

from omr_kedro.exam.gold import GOLD
from omr_kedro.exam.views import gold_of
from omr_kedro.shards import BadInputError, Row, Source, content_id, printable_name


def gold_rows(file: Source) -> Iterator[Row]:
    """The rows of one file (`tables.EXAM_ROWS`), checked by the fields of their stages.

    Raises:
        BadInputError: names file, line and field.
    """
    places: dict[str, str] = {}
    for record in file.records():
        row, wrong = _gold_row(record.fields, record.problem)
        first = places.setdefault(row["row_id"], record.where)
        if wrong or first != record.where:
            place = f"{printable_name(file.path)}, {record.where}"
            raise BadInputError(f"{place}: {wrong or f'this id stands at {first} already'}.")
        yield row


def sampled(rows: Iterable[Row], size: int) -> Iterator[Row]:
    """A sample of rows in their order: so many, as many of each kind of outcome as there are.

    Which ones follows from hashes of their ids, that nobody has chosen; a larger sample holds the smaller.
    """
    rows = list(rows)
    seen: Counter[Hashable] = Counter()
    ranked: list[tuple[int, int, str]] = []
    for row in sorted(rows, key=lambda row: content_id(row["row_id"])):
        outcome = gold_of(row, GOLD[_file_of(row["row_id"])]).outcome
        ranked.append((seen[outcome], len(ranked), row["row_id"]))
        seen[outcome] += 1
    chosen = {row_id for *_, row_id in sorted(ranked)[:size]}
    return (row for row in rows if row["row_id"] in chosen)


def _file_of(row_id: str) -> str:
    return row_id.rpartition("-")[0]


def _gold_row(fields: Row | None, problem: str) -> tuple[Row, str]:
    """A row of `tables.EXAM_ROWS`, and what is wrong with it (nothing: an empty string)."""
    given = fields or {}
    row_id = str(given.get("id"))
    row = {
        "row_id": row_id,
        "trap": given.get("trap"),
        "why": given.get("why"),
        "gold": orjson.dumps(given).decode(),
    }
    kind = GOLD.get(_file_of(row_id))
    if problem or kind is None:
        return row, problem or f"the field 'id' must begin with one of {', '.join(GOLD)}"
    try:
        kind.model_validate(given)
    except ValidationError as error:
        return row, "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
    return row, ""
