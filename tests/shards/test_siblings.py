from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from omr_kedro.shards import (
    Row,
    RowError,
    Scratch,
    Shard,
    SiblingShards,
    TableStore,
    map_siblings,
    siblings,
)
from tests.support.tables import shards_of

SCHEMA = pa.schema([pa.field("n", pa.int64())])
NAMES = ("even", "odd", "none")


class Counted:
    """Sorts numbers, and notes which shards it did so for."""

    def __init__(self) -> None:
        self.passes: list[str] = []

    def __call__(self, scratch: Scratch, numbers: Shard) -> Iterator[tuple[str, Row]]:
        self.passes.append(numbers.id)
        for row in numbers.rows():
            yield NAMES[row["n"] % 2], row


def recipes(make: Counted, count: int = 10, shards: int = 2) -> tuple[SiblingShards, ...]:
    return map_siblings(make, NAMES, shards_of([{"n": n} for n in range(count)], shards))


def table(folder: Path, name: str) -> TableStore:
    return TableStore(folder / name, "jsonl", SCHEMA)


def numbers(folder: Path, name: str) -> list[int]:
    return sorted(row["n"] for row in table(folder, name).shards().rows())


def left_aside(folder: Path) -> list[Path]:
    return list(folder.rglob("*.tmp"))


def test_one_pass_makes_all_tables(tmp_path: Path) -> None:
    make = Counted()
    for name, recipe in zip(NAMES, recipes(make, shards=3), strict=True):
        table(tmp_path, name).save(recipe)
    assert len(make.passes) == 3
    assert [numbers(tmp_path, name) for name in NAMES] == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9], []]
    assert not left_aside(tmp_path)


def test_parts_of_tables_come_of_one_pass_each(tmp_path: Path) -> None:
    make = Counted()
    for shard in shards_of([{"n": n} for n in range(10)]):
        for name, recipe in zip(NAMES, recipes(make), strict=True):
            made = {shard: recipe.fingerprints[shard]}
            table(tmp_path, name).save_part(SiblingShards(made, recipe.table, recipe.one_pass))
    assert len(make.passes) == 2
    for name, recipe in zip(NAMES, recipes(make), strict=True):
        table(tmp_path, name).conclude(recipe)
    assert [len(numbers(tmp_path, name)) for name in NAMES] == [5, 5, 0]


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0), (0, 2, 1)])
def test_tables_that_are_saved_in_another_order_are_right_all_the_same(tmp_path: Path, order: tuple[int, ...]) -> None:
    made = recipes(Counted())
    for place in order:
        table(tmp_path, NAMES[place]).save(made[place])
    assert [len(numbers(tmp_path, name)) for name in NAMES] == [5, 5, 0]


def test_a_table_whose_siblings_are_up_to_date_makes_its_own_pass(tmp_path: Path) -> None:
    for name, recipe in zip(NAMES, recipes(Counted()), strict=True):
        table(tmp_path, name).save(recipe)
    (table(tmp_path, "odd").folder / "shard-00000-of-00002.jsonl").unlink()
    make = Counted()
    assert [table(tmp_path, name).save(recipe) for name, recipe in zip(NAMES, recipes(make), strict=True)] == [0, 1, 0]
    assert make.passes == ["shard-00000-of-00002"]
    assert numbers(tmp_path, "odd") == [1, 3, 5, 7, 9]


def test_rows_that_somebody_deleted_are_made_again(tmp_path: Path) -> None:
    make = Counted()
    even, odd, _ = recipes(make)
    table(tmp_path, "even").save(even)
    assert len(left_aside(tmp_path)) == 1, "one of the shards has an odd number in it"
    for path in left_aside(tmp_path):
        path.unlink()
    table(tmp_path, "odd").save(odd)
    assert numbers(tmp_path, "odd") == [1, 3, 5, 7, 9]


def test_rows_that_nobody_takes_go_with_the_recipes(tmp_path: Path) -> None:
    made = recipes(Counted())
    table(tmp_path, "even").save(made[0])
    assert left_aside(tmp_path)
    del made
    gc.collect()
    assert not left_aside(tmp_path)


def test_a_pass_that_breaks_off_leaves_nothing_aside(tmp_path: Path) -> None:
    def breaks(scratch: Scratch, numbers: Shard) -> Iterator[tuple[str, Row]]:
        for n in range(100_000):
            yield NAMES[n % 2], {"n": n}
        assert left_aside(tmp_path)
        raise ValueError("broken")

    even, *_ = map_siblings(breaks, NAMES, shards_of([{"n": 1}], 1))
    with pytest.raises(ValueError, match="broken"):
        table(tmp_path, "even").save(even)
    assert not left_aside(tmp_path)


def test_a_row_that_cannot_be_laid_aside_is_refused_by_its_own_table(tmp_path: Path) -> None:
    def make(scratch: Scratch, numbers: Shard) -> Iterator[tuple[str, Row]]:
        yield "odd", {"n": {1, 2}}
        yield "even", {"n": 2}

    even, odd, _ = map_siblings(make, NAMES, shards_of([{"n": 1}], 1))
    table(tmp_path, "even").save(even)
    with pytest.raises(RowError, match="odd: column 'n' holds set"):
        table(tmp_path, "odd").save(odd)


def test_no_more_is_laid_aside_than_the_disk_may_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siblings, "_MOST_SPOOLED", 0)
    make = Counted()
    for name, recipe in zip(NAMES, recipes(make, count=40, shards=4), strict=True):
        table(tmp_path, name).save(recipe)
    assert len(make.passes) > 4
    assert [len(numbers(tmp_path, name)) for name in NAMES] == [20, 20, 0]
