from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omr_kedro.shards import Row, Scratch, Shard, Shards, map_shards
from tests.support.tables import rows_made, shards_of


def doubled(shard: Shard) -> Iterator[Row]:
    return ({"n": 2 * row["n"]} for row in shard.rows())


def test_a_derived_table_maps_shards_to_shards_of_the_same_id() -> None:
    numbers = shards_of([{"n": n} for n in range(5)])
    recipe = map_shards(doubled, numbers)
    assert list(recipe.fingerprints) == list(numbers)
    assert sorted(row["n"] for row in rows_made(recipe)) == [0, 2, 4, 6, 8]


def test_a_fingerprint_changes_with_the_input_and_with_what_else_decides_the_rows() -> None:
    numbers, others = shards_of([{"n": 1}]), shards_of([{"n": 2}])
    first = map_shards(doubled, numbers, by={"k": 1}).fingerprints
    assert map_shards(doubled, numbers, by={"k": 1}).fingerprints == first
    assert map_shards(doubled, numbers, by={"k": 2}).fingerprints != first
    assert map_shards(doubled, others, by={"k": 1}).fingerprints != first


def test_nothing_is_made_or_read_before_it_is_asked_for() -> None:
    def unreadable() -> Iterator[Row]:
        raise AssertionError("read too early")

    table = Shards([Shard("s", "d", 1, unreadable)])
    recipe = map_shards(doubled, table)
    recipe.finished(["s"], lambda name: Scratch(Path(), Path(), lambda: iter(())))


def test_an_empty_shard_is_not_read() -> None:
    def unreadable() -> Iterator[Row]:
        raise AssertionError("read in vain")

    assert list(Shard("s", "d", 0, unreadable).rows()) == []
